"""The scikit-learn interface: a classifier, a regressor and a transformer over the same core as the command."""
