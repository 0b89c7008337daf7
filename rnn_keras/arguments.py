"""The two checks that most arguments need, each with one message."""

from collections.abc import Sequence


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
