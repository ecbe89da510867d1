"""The paper's data sets, AG's News, and the demo's data set."""
