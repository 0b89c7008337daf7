"""The one exception that means: the input, not the program, is at fault."""

from rnn_keras.printable import one_line


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one line that says what was given, where, and what was
    expected. The command line prints it without a traceback and exits with 2.
    It may quote a stranger's file, so what would do harm in a terminal is escaped, and
    what is too long is cut.
    """

    def __init__(self, message: object = ""):
        super().__init__(one_line(str(message)))
