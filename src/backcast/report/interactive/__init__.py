"""The interactive page: what the networks remember of some rows, step by step, to be looked at in a browser."""
