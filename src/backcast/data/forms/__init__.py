"""The forms that data come in: tables, arrays, `.ts` files, folders, the Hub, Python objects."""
