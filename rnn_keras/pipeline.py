"""TextPipeline: vectorizer, network and class names as one model that answers.

The pairing follows KerasHub, where a task is a Keras model that holds its
preprocessor: `evaluate` and `predict` take raw strings, and calling the model itself
takes what the preprocessor makes of them, token ids.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, overload

import keras
import numpy as np

from rnn_keras.errors import InputError
from rnn_keras.explanation import Explanation, explain_logits
from rnn_keras.inference import load_model, make_forward, predict_probabilities
from rnn_keras.labels import check_pairs, class_indices
from rnn_keras.linear import LinearPath
from rnn_keras.predictions import Prediction, name_predictions
from rnn_keras.scoring import count_answers
from rnn_keras.training import compile_network
from rnn_keras.vectorization import TextVectorizer


class TextPipeline(keras.Model):
    """What a classifier does when it has been trained: the base of `TextClassifier`.

    The arguments are those of `TextClassifier`, which is the class to use.
    """

    def __init__(
        self,
        network: keras.Model,
        preprocessor: TextVectorizer,
        class_names: Sequence[str],
        linear: LinearPath | None = None,
        **kwargs: Any,
    ):
        if network.output_shape[-1] != len(class_names):
            raise ValueError(
                f"`network` has {network.output_shape[-1]} logits for "
                f"{len(class_names)} class names."
            )
        if linear is not None and linear.num_classes != len(class_names):
            raise ValueError(
                f"`linear` has {linear.num_classes} logits for {len(class_names)} "
                "class names."
            )
        super().__init__(**kwargs)
        self.network = network
        self.preprocessor = preprocessor
        self.class_names = tuple(str(name) for name in class_names)
        self.linear = linear
        self.num_cut = 0
        self._forward: Any = None
        self.built = True
        if not network.compiled:
            compile_network(network)
        # Keras cannot load a file whose optimizer has not made a step yet, unless
        # its variables are there all the same.
        if not network.optimizer.built:
            network.optimizer.build(network.trainable_variables)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        logits = self.network(inputs, training=training)
        return logits if self.linear is None else self.linear(inputs, logits)

    def _set_linear(self, linear: LinearPath | None) -> None:
        # Keras would keep the former path among the layers, and in the file.
        former, self.linear = self.linear, None
        if former is not None:
            self._tracker.untrack(former)
        self.linear = linear
        self._forward = None

    def predict_proba(self, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Class probabilities `(texts, classes)`, columns as in `class_names`."""
        return self._probabilities(self.preprocessor.encode(texts).ids, batch_size)

    def _probabilities(self, ids: np.ndarray, batch_size: int = 256) -> np.ndarray:
        if self._forward is None:
            self._forward = make_forward(self)
        return predict_probabilities(
            self._forward, ids, len(self.class_names), batch_size
        )

    @overload
    def predict(self, texts: str, batch_size: int = 256) -> Prediction: ...
    @overload
    def predict(
        self, texts: Sequence[str], batch_size: int = 256
    ) -> list[Prediction]: ...
    def predict(self, texts, batch_size=256):
        """Class name and probabilities of each text; one text gets one answer.

        Args:
            texts: a list of strings, or one string.
            batch_size: texts at a time.
        """
        if isinstance(texts, str):
            return self.predict([texts])[0]
        probabilities = self.predict_proba(texts, batch_size)
        return name_predictions(texts, probabilities, self.class_names)

    def labels_of(self, texts: Sequence[str], batch_size: int = 256) -> list[str]:
        """The most probable class of each text; of equals the first."""
        best = self.predict_proba(texts, batch_size).argmax(axis=1)
        return [self.class_names[i] for i in best]

    def evaluate(
        self, texts: Sequence[str], labels: Sequence[Any], batch_size: int = 256
    ) -> dict[str, Any]:
        """Scores on labelled texts: see `rnn_keras.scoring.score`.

        Raises:
            InputError: if a label is none of `class_names`.
        """
        check_pairs(texts, labels)
        return self.evaluate_chunks([(texts, labels)], batch_size)

    def evaluate_chunks(
        self,
        chunks: Iterable[tuple[Sequence[str], Sequence[Any]]],
        batch_size: int = 256,
    ) -> dict[str, Any]:
        """The same of texts and labels that come some at a time.

        Raises:
            InputError: if a label is none of `class_names`.
        """

        def checked() -> Iterator[tuple[Sequence[str], list[str]]]:
            for texts, labels in chunks:
                class_indices(labels, self.class_names)
                yield texts, [str(label) for label in labels]

        answers = count_answers(
            partial(self.labels_of, batch_size=batch_size), checked()
        )
        return answers.score(self.class_names)

    def explain(
        self, text: str, label: str | None = None, against: str | None = None
    ) -> Explanation:
        """What each token adds to the decision: see `rnn_keras.explanation`.

        Args:
            text: one string.
            label: the class to explain; by default the most probable.
            against: the class to weigh it against; by default the most probable of
                the others.

        Raises:
            InputError: if `label` or `against` is no class, or they are the same, or
                the network is no chain of layers from an embedding to logits.
        """
        encoded = self.preprocessor.encode([text]).ids
        given = [name for name in (label, against) if name is not None]
        chosen = class_indices(given, self.class_names).tolist()
        if len(set(chosen)) < len(chosen):
            raise InputError(f"class {label!r} cannot be weighed against itself")
        ranked = np.argsort(-self._probabilities(encoded)[0], kind="stable").tolist()
        others = [i for i in ranked if i not in chosen]
        first = chosen.pop(0) if label is not None else others.pop(0)
        second = chosen.pop(0) if against is not None else others.pop(0)
        weights = np.zeros(len(self.class_names))
        weights[[first, second]] = 1, -1

        ids = encoded[0, encoded[0] != 0]
        logits = np.asarray(self(encoded, training=False), np.float64)[0]
        parts, rest = explain_logits(self.network, self.linear, ids, weights)
        return Explanation(
            text=text,
            tokens=tuple(self.preprocessor.tokenize([text])[0][: len(ids)]),
            label=self.class_names[first],
            against=self.class_names[second],
            difference=float(logits @ weights),
            contributions=parts,
            rest=rest,
            probabilities=self._while_reading(ids),
            class_names=self.class_names,
        )

    def _while_reading(self, ids: np.ndarray) -> np.ndarray:
        """The answers to the texts that end after each token `(tokens, classes)`."""
        parts = [np.zeros((0, len(self.class_names)), np.float32)]
        for start in range(0, len(ids), 256):
            ends = np.arange(start, min(start + 256, len(ids)))
            read = ids[: ends[-1] + 1]
            rows = np.where(np.arange(len(read)) <= ends[:, None], read, 0)
            parts.append(self._probabilities(rows))
        return np.concatenate(parts)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "network": keras.saving.serialize_keras_object(self.network),
            "preprocessor": keras.saving.serialize_keras_object(self.preprocessor),
            "class_names": list(self.class_names),
            "linear": keras.saving.serialize_keras_object(self.linear),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        config = {"linear": None, **config}  # files of before have no such path
        for part in ("network", "preprocessor", "linear"):
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return cls(**config)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The classifier saved at `path` by `save`.

        Nothing in the file is run as code.

        Raises:
            InputError: if there is no such file, or it holds something else.
        """
        return load_model(path, cls)
