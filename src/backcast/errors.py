"""The two ways in which backcast refuses to go on."""


class InputError(ValueError):
    """The user's input or options do not fit; the command prints it as one line and exits with 2.

    The message says what is wrong, where, and what to do about it.
    """


class RunError(RuntimeError):
    """A run that began well cannot go on (not a finite loss, a full disk); exit status 1.

    The last good checkpoint is kept, and the message says how to resume.
    """
