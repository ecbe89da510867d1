"""The paper's tables and figures, each as an experiment that one command runs (`backcast reproduce`)."""
