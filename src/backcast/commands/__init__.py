"""One file for each command of the terminal: `add_options(parser)`, and `run(arguments)`, which returns the exit status.

Nothing heavy is imported before `run` needs it, so that `--help` answers at once.
"""
