"""The one exception that means: the input, not the program, is at fault.

The two checks that most arguments need, each with one message.
"""

import re
from collections.abc import Sequence
from typing import Any

from rnn_keras.utils.messages import one_line


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one line that says what was given, where, and what was
    expected. The command line prints it without a traceback and exits with 2.
    It may quote a stranger's file, so what would do harm in a terminal is escaped, and
    what is too long is cut.
    """

    def __init__(self, message: object = ""):
        super().__init__(one_line(str(message)))


def check_choice(argument: str, value: str, choices: Sequence[str]) -> None:
    """Raise `ValueError` for a value that is none of the choices."""
    if value not in choices:
        raise ValueError(f"`{argument}` must be one of {choices}. Received: {value!r}")


def check_sizes(least: int = 1, /, **sizes: int) -> None:
    """Raise `ValueError` for the first, by the name of its argument, below `least`."""
    for argument, value in sizes.items():
        if value < least:
            raise ValueError(
                f"`{argument}` must be at least {least}. Received: {value}"
            )


# What makes letters bold, and names of TensorFlow's own for operations.
_DECORATION = re.compile(r"\x1b\[[0-9;]*m|\{\{.*?\}\}|\[Op:.*?\]")


def reason_of(error: BaseException) -> str:
    """What an error says, without the path, which the message has already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if type(error) is LookupError:  # an unknown encoding; advice to programmers follows
        return str(error).partition(";")[0]
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    return " ".join(str(error).split()) or type(error).__name__


def reason_within(error: BaseException) -> str:
    """The line in which Keras, TensorFlow or another library says what is wrong.

    Keras begins with where that was, and ends with the arguments; TensorFlow ends with
    the operation. Of an error that has a cause, that is what is wrong.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    said = _DECORATION.sub("", str(error)).partition("Arguments received by")[0]
    lines = [" ".join(line.split()) for line in said.splitlines()]
    lines = [line for line in lines if line and not line.startswith("[[")]
    return (lines[-1] if lines else type(error).__name__)[:200]


def check_pairs(texts: Sequence[Any], labels: Sequence[Any]) -> None:
    """Refuse another number of labels than texts.

    Raises:
        InputError: with both numbers.
    """
    if len(texts) != len(labels):
        raise InputError(f"{len(texts)} texts, but {len(labels)} labels")
