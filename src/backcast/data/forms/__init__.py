"""The forms in which rows come: tables, arrays, `.ts` files, folders, the Hub, Python's objects."""
