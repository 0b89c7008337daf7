"""`InputError`, the exception for unusable input, and checks that raise it.

An `InputError` means that something given by the user is wrong, a file or an option,
and not the program. A `ValueError` means that a programmer passed an argument that the
documentation excludes. `reason_of` and `reason_within` turn the errors of other
libraries into one line for a message.
"""

import re
from collections.abc import Iterable, Iterator, Sequence, Sized

from rnn_keras.utils.messages import one_line

# Escape sequences for bold letters, and TensorFlow's names for its operations.
_DECORATION = re.compile(r"\x1b\[[0-9;]*m|\{\{.*?\}\}|\[Op:.*?\]")


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one line that says what was given, where, and what was expected. The
    command line prints it without a traceback and exits with status 2. Because it may
    quote a file from anywhere, characters that control a terminal are escaped, and a
    long message is shortened.
    """

    def __init__(self, message: object = ""):
        super().__init__(one_line(str(message)))


def check_choice(argument: str, value: str, choices: Sequence[str]) -> None:
    """Raise `ValueError` unless the value of an argument is one of the choices."""
    if value not in choices:
        raise ValueError(f"`{argument}` must be one of {choices}. Received: {value!r}")


def check_sizes(least: float = 1, /, **sizes: float) -> None:
    """Raise `ValueError` if an argument, given by its name, is below `least`."""
    for argument, value in sizes.items():
        if value < least:
            raise ValueError(
                f"`{argument}` must be at least {least}. Received: {value}"
            )


def check_pairs(texts: Sized, labels: Sized) -> None:
    """Check that there are as many labels as texts.

    Raises:
        InputError: with both numbers.
    """
    if len(texts) != len(labels):
        raise InputError(f"{len(texts)} texts, but {len(labels)} labels")


def checked_texts(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts, each checked when its turn comes.

    Raises:
        InputError: if `texts` is one string, or holds anything but strings.
    """
    if isinstance(texts, str):
        raise InputError("one string, where a list of strings is expected")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise InputError(f"text {i} is no string but {kind}: {text!r:.40}")
        yield text


def reason_of(error: BaseException) -> str:
    """What an error says, without the path, which the message already has."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if type(error) is LookupError:  # an unknown encoding; advice to programmers follows
        return str(error).partition(";")[0]
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    return " ".join(str(error).split()) or type(error).__name__


def reason_within(error: BaseException) -> str:
    """The line of a long message in which Keras or TensorFlow says what is wrong.

    Keras begins its messages with the place of the error and ends them with the
    arguments; TensorFlow ends them with the operation. If the error has a cause, the
    cause is what is wrong.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    message = _DECORATION.sub("", str(error)).partition("Arguments received by")[0]
    lines = [" ".join(line.split()) for line in message.splitlines()]
    lines = [line for line in lines if line and not line.startswith("[[")]
    return (lines[-1] if lines else type(error).__name__)[:200]
