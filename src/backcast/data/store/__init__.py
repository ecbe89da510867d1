"""Rows as they are kept: checked, flat, in a cache that is mapped into memory."""
