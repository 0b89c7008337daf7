"""Reads a saved classifier with Keras from a file that a stranger may have made.

`save_rules` writes what `rnn_keras.exported` needs to answer without Keras.
Before Keras sees the file, `rnn_keras.exported.archive` looks through it and
`rnn_keras.exported.allowlist` at what it names. The file is read twice, so whoever can
exchange it in between is not stopped.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

import keras
import numpy as np

from rnn_keras.classification.tokenizer_rules import tokenizer_rules
from rnn_keras.exported.archive import RULES, read_archive
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.utils.errors import InputError, reason_within


class AnsweringModel(Protocol):
    """A model of texts: what `load_model` tries out."""

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return class probabilities `(texts, classes)`."""


ModelKind = TypeVar("ModelKind", bound=AnsweringModel)


def save_rules(preprocessor: TextVectorizer, assets: Path) -> None:
    """Write the tokenizer's rules, with which `rnn_keras.exported` makes token ids.

    Without them the classifier can be loaded with Keras only. None are written for a
    subclass, which may find other tokens, nor in a locale that has lower-casing rules
    of its own.

    Args:
        preprocessor: the vectorizer.
        assets: folder of the assets of the file that is being written.
    """
    if type(preprocessor) is not TextVectorizer:
        return
    try:
        rules = tokenizer_rules(preprocessor)
    except InputError:
        return
    text = json.dumps(rules, ensure_ascii=False, separators=(",", ":"))
    (assets / PurePosixPath(RULES).name).write_text(text, encoding="utf-8")


def load_model(path: str | Path, kind: type[ModelKind]) -> ModelKind:
    """Return the model of class `kind` that is saved in the file `path`.

    Nothing in the file is run as code. The file is looked through before Keras loads
    it, because Keras's safe mode alone does not protect: the function
    `keras.config.enable_unsafe_deserialization` turns it off for the whole process,
    whatever `safe_mode` says.

    Raises:
        InputError: if there is no such file, or it holds something else.
    """
    path = Path(path)
    registered = keras.saving.get_custom_objects()
    names = {alias: getattr(o, "__name__", None) for alias, o in registered.items()}
    read_archive(path, names)
    try:
        with _without_warnings():
            model = keras.saving.load_model(path, safe_mode=True)
            if isinstance(model, kind):
                # The network may fail to give logits. What is built for this answer
                # is kept for later ones.
                model.predict_proba(["a"])
    except Exception as error:
        raise InputError(
            f"{path}: cannot be loaded ({reason_within(error)})"
        ) from error
    if not isinstance(model, kind):
        found = type(model).__name__
        raise InputError(f"{path}: holds a Keras {found}, not a {kind.__name__}")
    return model


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress the warnings that are of no use to someone who loads a model.

    Keras repeats warnings from when the model was built, and warns of an optimizer that
    begins anew. But layers without weights in the file would be wrong in silence, so
    that warning is an error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Skipping nested container")
        yield
