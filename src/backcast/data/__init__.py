"""Data: sources to sequences to batches."""
