"""scikit-learn's face: a classifier, a regressor and a transformer over the same spine as the command."""
