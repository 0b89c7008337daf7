"""The one exception that means: the input, not the program, is at fault."""


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one line that says what was given, where, and what was
    expected. The command line prints it without a traceback and exits with 2.
    """
