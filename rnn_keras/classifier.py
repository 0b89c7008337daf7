"""TextClassifier: vectorizer, network and class names in one, saved as one file.

The pairing follows KerasHub, where a task is a Keras model that holds its
preprocessor: `fit`, `evaluate` and `predict` take raw strings, and calling the
model itself takes what the preprocessor makes of them, token ids.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import keras
import numpy as np

from rnn_keras.errors import InputError
from rnn_keras.inference import Prediction, make_forward, predict_probabilities
from rnn_keras.labels import check_pairs, class_indices, class_names_of
from rnn_keras.models import Cell, Pooling, build_classifier
from rnn_keras.scoring import score
from rnn_keras.training import make_optimizer, train
from rnn_keras.vectorization import TextVectorizer, Unit


@keras.saving.register_keras_serializable(package="rnn_keras")
class TextClassifier(keras.Model):
    """Raw strings in, class names and probabilities out.

    Usually made by `from_texts`, which takes vocabulary and class names from the
    training texts, or by `load`.

    Args:
        network: from token ids `(batch, timesteps)` to logits `(batch, classes)`,
            as `build_classifier` makes it. It is what `fit` trains: compile it
            beforehand for another optimizer or loss than the usual.
        preprocessor: from strings to token ids.
        class_names: name of each logit, in order.
        **kwargs: of `keras.Model`.

    Raises:
        ValueError: if the network has another number of logits than there are
            class names.

    Example:
    >>> texts = ["I love it", "so good", "I hate it", "so bad"]
    >>> labels = ["good", "good", "bad", "bad"]
    >>> classifier = TextClassifier.from_texts(texts, labels, units=8, seed=0)
    >>> history = classifier.fit(texts, labels, epochs=40, learning_rate=0.01)
    >>> classifier.predict("I love it").label
    'good'
    """

    def __init__(
        self,
        network: keras.Model,
        preprocessor: TextVectorizer,
        class_names: Sequence[str],
        **kwargs: Any,
    ):
        if network.output_shape[-1] != len(class_names):
            raise ValueError(
                f"`network` has {network.output_shape[-1]} logits for "
                f"{len(class_names)} class names."
            )
        super().__init__(**kwargs)
        self.network = network
        self.preprocessor = preprocessor
        self.class_names = tuple(str(name) for name in class_names)
        self.num_cut = 0
        self._forward: Any = None
        self.built = True
        if not network.compiled:
            network.compile(
                optimizer=make_optimizer(),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
            )
        # Keras cannot load a file whose optimizer has not made a step yet, unless
        # its variables are there all the same.
        if not network.optimizer.built:
            network.optimizer.build(network.trainable_variables)

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        labels: Sequence[Any],
        *,
        cell: Cell = "gru",
        units: int = 64,
        embedding_dim: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: Pooling = "max_mean",
        dropout: float = 0.5,
        token_dropout: float = 0.2,
        unit: Unit = "word",
        max_tokens: int | None = 20_000,
        min_count: int = 1,
        max_length: int | None = 256,
        seed: int | None = None,
    ) -> "TextClassifier":
        """An untrained classifier with the vocabulary and classes of `texts`.

        Args:
            texts: the training texts (not the test texts: their words would
                leak into the vocabulary).
            labels: a word or number a text; the classes are their different
                values, numbers in numeric order.
            cell: this and the next seven are arguments of `build_classifier`.
            units: size of the state, in each direction.
            embedding_dim: size of a token's vector.
            num_layers: recurrent layers.
            bidirectional: read from both ends.
            pooling: of the states over time.
            dropout: share of values dropped in training.
            token_dropout: share of tokens dropped in training.
            unit: this and the next three are arguments of `TextVectorizer`.
            max_tokens: size of the vocabulary at most.
            min_count: a token seen less often stays unknown.
            max_length: longer texts are cut at their end.
            seed: of the initial weights and of dropout. Sets Keras's global seed.

        Raises:
            InputError: if there are no texts, another number of labels than
                texts, or fewer than two classes.
        """
        check_pairs(texts, labels)
        class_names = class_names_of(labels)
        if len(class_names) < 2:
            found = f"one class only: {class_names[0]}" if class_names else "no texts"
            raise InputError(f"{found}; a classifier needs two classes or more")
        preprocessor = TextVectorizer(
            unit, max_tokens=max_tokens, min_count=min_count, max_length=max_length
        )
        preprocessor.adapt(texts)
        if seed is not None:
            keras.utils.set_random_seed(seed)
        network = build_classifier(
            preprocessor.vocabulary_size(),
            len(class_names),
            cell=cell,
            units=units,
            embedding_dim=embedding_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            pooling=pooling,
            dropout=dropout,
            token_dropout=token_dropout,
        )
        return cls(network, preprocessor, class_names)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.network(inputs, training=training)

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        *,
        validation_data: tuple[Sequence[str], Sequence[Any]] | None = None,
        epochs: int = 10,
        batch_size: int = 32,
        learning_rate: float | None = None,
        patience: int | None = 3,
        seed: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        progress: bool = True,
    ) -> keras.callbacks.History:
        """Train on raw texts; keep the weights of the best epoch.

        Args:
            texts: raw strings.
            labels: class names, one a text.
            validation_data: texts and labels whose loss decides when to stop
                and which weights to keep; empty ones count as none.
            epochs: passes over the texts at most.
            batch_size: texts in a step.
            learning_rate: of the first epoch; falls in a straight line to 0.
            patience: epochs without a lower loss before training stops; `None`
                trains all epochs at one rate.
            seed: of the order of the texts.
            callbacks: more of Keras's callbacks.
            progress: show a bar where standard error is a terminal.

        Returns:
            Keras's `History`; `num_cut` then tells how many training texts were
            longer than `max_length` and lost their end.

        Raises:
            InputError: if a label is none of `class_names`.
        """
        encoded = self.preprocessor.encode(texts)
        self.num_cut = encoded.num_cut
        validation = None
        if validation_data is not None and len(validation_data[0]):
            validation = (
                self.preprocessor.encode(validation_data[0]).ids,
                class_indices(validation_data[1], self.class_names),
            )
        return train(
            self.network,
            (encoded.ids, class_indices(labels, self.class_names)),
            validation,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
            seed=seed,
            callbacks=callbacks,
            progress=progress,
        )

    def predict_proba(self, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Class probabilities `(texts, classes)`, columns as in `class_names`."""
        if self._forward is None:
            self._forward = make_forward(self.network)
        ids = self.preprocessor.encode(texts).ids
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
        predictions = []
        for text, row in zip(texts, self.predict_proba(texts, batch_size), strict=True):
            named = dict(zip(self.class_names, row.tolist(), strict=True))
            label = max(named, key=named.__getitem__)
            predictions.append(Prediction(text, label, named[label], named))
        return predictions

    def evaluate(
        self, texts: Sequence[str], labels: Sequence[Any], batch_size: int = 256
    ) -> dict[str, Any]:
        """Scores on labelled texts: see `rnn_keras.scoring.score`.

        Raises:
            InputError: if a label is none of `class_names`.
        """
        class_indices(labels, self.class_names)
        check_pairs(texts, labels)
        predicted = [p.label for p in self.predict(texts, batch_size)]
        return score([str(label) for label in labels], predicted, self.class_names)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "network": keras.saving.serialize_keras_object(self.network),
            "preprocessor": keras.saving.serialize_keras_object(self.preprocessor),
            "class_names": list(self.class_names),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "TextClassifier":
        config = dict(config)
        for part in ("network", "preprocessor"):
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return cls(**config)

    @classmethod
    def load(cls, path: str | Path) -> "TextClassifier":
        """The classifier saved at `path` by `save`.

        Nothing in the file is run as code.

        Raises:
            InputError: if there is no such file, or it holds something else.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file; expected a saved classifier")
        if not zipfile.is_zipfile(path):
            raise InputError(f"{path}: not a .keras file, or a damaged one")
        try:
            model = keras.saving.load_model(path, safe_mode=True)
        except Exception as error:
            reason = str(error).strip().split("\n")[0][:200]
            raise InputError(f"{path}: cannot be loaded ({reason})") from error
        if not isinstance(model, cls):
            kind = type(model).__name__
            raise InputError(f"{path}: holds a Keras {kind}, not a {cls.__name__}")
        return model
