"""`backcast benchmark`: seconds and memory, each contender in a process of its own, in turn."""
