"""The data sets of the paper, AG's News, and the demo's."""
