"""TextClassifier: how a classifier of texts is made and trained.

From a file to a model, and from token ids to probabilities.

TextPipeline: vectorizer, network and class names as one model that answers.

The pairing follows KerasHub, where a task is a Keras model that holds its
preprocessor: `evaluate` and `predict` take raw strings, and calling the model itself
takes what the preprocessor makes of them, token ids.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, overload

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.classification.explanation import Explanation, explain_logits
from rnn_keras.classification.recipe import recipe_for
from rnn_keras.classification.saving import load_model
from rnn_keras.datasets.labelled import class_indices, class_names_of, classes_to_learn
from rnn_keras.datasets.streaming import WINDOW, Stream
from rnn_keras.layers.ngram_logits import LinearPath, fit_linear_path
from rnn_keras.layers.text_vectorizer import TextVectorizer, Unit
from rnn_keras.models.builders import build_classifier
from rnn_keras.scoring import count_answers
from rnn_keras.training.batches import IdsInMemory, StreamedIds
from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.training.trainer import compile_network, hold_out, train
from rnn_keras.utils.choices import CellName, Pooling
from rnn_keras.utils.errors import InputError, check_pairs
from rnn_keras.utils.predictions import Prediction, name_predictions, run_by_length


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
        linear: a path that is added to the network's logits. `fit` makes it.
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

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str] | Stream,
        labels: Sequence[Any] | None = None,
        *,
        cell: CellName = "gru",
        units: int = 64,
        embedding_dim: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: Pooling = "max_mean",
        dropout: float = 0.5,
        token_dropout: float | None = None,
        unit: Unit | None = None,
        max_tokens: int | None = 20_000,
        min_count: int | None = None,
        max_length: int | None = None,
        seed: int | None = None,
    ) -> "TextClassifier":
        """An untrained classifier with the vocabulary and classes of `texts`.

        What is `None` follows from the texts: see `rnn_keras.recipe.Recipe`.

        Args:
            texts: the training texts (not the test texts: their words would
                leak into the vocabulary), or a stream of them with their labels.
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
            max_length: longer texts are cut at their end; 0 cuts none.
            seed: of the initial weights and of dropout. Sets Keras's global seed.

        Raises:
            InputError: if there are no texts, another number of labels than
                texts, or fewer than two classes.
        """
        if isinstance(texts, Stream):
            class_names, count = class_names_of(texts.labels), texts.sizes["train"]
            sample, every = (
                texts.sample[0],
                (t for part in texts.train() for t in part[0]),
            )
        else:
            class_names, count = classes_to_learn(texts, labels), len(texts)
            sample = every = texts
        recipe = recipe_for(sample, unit, count).but(
            min_count=min_count, max_length=max_length, token_dropout=token_dropout
        )
        if isinstance(texts, Stream) and not recipe.max_length:
            raise InputError(
                f"{texts.source}: texts of a stream are cut; expected a max_length "
                "above 0 (or --no-stream)"
            )
        preprocessor = TextVectorizer(
            recipe.unit,
            max_tokens=max_tokens,
            min_count=recipe.min_count,
            max_length=recipe.max_length or None,
        )
        preprocessor.adapt(every)
        return cls.from_vocabulary(
            preprocessor,
            class_names,
            cell=cell,
            units=units,
            embedding_dim=embedding_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            pooling=pooling,
            dropout=dropout,
            token_dropout=recipe.token_dropout,
            learning_rate=recipe.learning_rate,
            seed=seed,
        )

    @classmethod
    def from_vocabulary(
        cls,
        preprocessor: TextVectorizer,
        class_names: Sequence[str],
        *,
        learning_rate: float = 2e-3,
        seed: int | None = None,
        **network: Any,
    ) -> "TextClassifier":
        """An untrained classifier with a vocabulary and classes that are known.

        Args:
            preprocessor: with a vocabulary.
            class_names: of the classes, in order.
            learning_rate: of the optimizer.
            seed: of the initial weights and of dropout. Sets Keras's global seed.
            **network: arguments of `build_classifier`.
        """
        if seed is not None:
            keras.utils.set_random_seed(seed)
        built = build_classifier(
            preprocessor.vocabulary_size(), len(class_names), **network
        )
        compile_network(built, learning_rate)
        return cls(built, preprocessor, class_names)

    def fit(
        self,
        texts: Sequence[str] | Stream,
        labels: Sequence[Any] | None = None,
        *,
        validation_data: tuple[Sequence[str], Sequence[Any]] | None = None,
        validation_split: float = 0.1,
        linear: bool = True,
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float | None = None,
        patience: int | None = 3,
        seed: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        progress: bool = True,
        checkpoints: Checkpoints | None = None,
    ) -> keras.callbacks.History:
        """Train on raw texts; keep the weights of the best epoch.

        Texts that are held out decide which epoch that is, and then how much a
        linear model of n-grams, fitted to all texts, is to count beside the
        network (see `rnn_keras.linear`).

        Args:
            texts: raw strings; or a stream of them with their labels and a validation
                part of its own, to a sample of which the linear path is fitted.
            labels: class names, one a text.
            validation_data: texts and labels to hold out, which no earlier `fit`
                has seen; empty ones count as none.
            validation_split: share of `texts` that is held out where there are no
                `validation_data`; equal texts stay together. Where it would be
                fewer texts than ten, or than there are classes, none are.
            linear: add the linear path, where texts are held out. Without it, as
                where none are, the classifier is the network alone.
            epochs: passes over the texts at most; by default see
                `rnn_keras.recipe.Recipe`.
            batch_size: texts in a step.
            learning_rate: of the first epoch; falls in a straight line to 0.
            patience: epochs without a lower loss before training stops; `None`
                trains all epochs at one rate.
            seed: of the order of the texts.
            callbacks: more of Keras's callbacks.
            progress: show a bar where standard error is a terminal.
            checkpoints: where the state is written down as training goes on. After a
                crash the same calls, from `from_texts` on, take it up from there.

        Returns:
            Keras's `History`; `num_cut` then tells how many training texts were
            longer than `max_length` and lost their end (of a stream, in its sample).

        Raises:
            InputError: if a label is none of `class_names`.
        """
        if isinstance(texts, Stream):
            data, validation, known = self._encode_stream(texts)
            sample, count = texts.sample[0], data.count
        else:
            sample, count = texts, len(texts)
            data = self._encode(texts, labels, count_cut=True)
            if validation_data is not None and len(validation_data[0]):
                validation = self._encode(*validation_data)
            else:
                data, validation = hold_out(data, validation_split, seed)
            known = data
        self._set_linear(None)
        recipe = recipe_for(sample, self.preprocessor.unit, count).but(epochs=epochs)
        history = train(
            self.network,
            data,
            validation,
            epochs=recipe.epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
            seed=seed,
            callbacks=callbacks,
            progress=progress,
            checkpoints=checkpoints,
        )
        if linear and validation is not None:
            logits = np.log(np.maximum(self._probabilities(validation.ids), 1e-9))
            self._set_linear(
                fit_linear_path(
                    logits,
                    (known.ids, known.labels),
                    (validation.ids, validation.labels),
                    max_ngram=recipe.max_ngram,
                )
            )
        return history

    def _encode(
        self, texts: Sequence[str], labels: Sequence[Any], count_cut: bool = False
    ) -> IdsInMemory:
        encoded = self.preprocessor.encode(texts)
        if count_cut:
            self.num_cut = encoded.num_cut
        return IdsInMemory(encoded.ids, class_indices(labels, self.class_names))

    def _encode_stream(
        self, stream: Stream
    ) -> tuple[StreamedIds, IdsInMemory | None, IdsInMemory]:
        """What is trained on, what is held out, and the sample; `num_cut` is its."""
        known = self._encode(*stream.sample, count_cut=True)
        held_out = self._encode(*stream.validation) if stream.validation[0] else None
        data = StreamedIds(
            stream.train,
            self._encode,
            count=stream.sizes["train"],
            sample=known.ids,
            max_length=self.preprocessor.max_length,
            block_size=WINDOW,
        )
        return data, held_out, known


def make_forward(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from ids `(batch, timesteps)` to logits `(batch, classes)`.

    Without the fixed cost of `keras.Model.predict`. With TensorFlow one graph serves
    every shape: Keras's own functions are traced anew for each, which takes far
    longer than the answer. The graph reads the model's weights when it is called,
    so training goes on to count.
    """
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    graph = tf.function(lambda ids: model(ids, training=False))
    concrete = graph.get_concrete_function(tf.TensorSpec((None, None), tf.int32))
    return lambda ids: concrete(tf.constant(ids)).numpy()


def predict_probabilities(
    forward: Callable[[np.ndarray], np.ndarray],
    ids: np.ndarray,
    num_classes: int,
    batch_size: int,
) -> np.ndarray:
    """Class probabilities, float32 `(texts, classes)`.

    Args:
        forward: of `make_forward`.
        ids: `(texts, timesteps)`, padded on the right with 0.
        num_classes: for the shape of the answer to no texts.
        batch_size: texts at a time.
    """
    return run_by_length(
        lambda batch: _softmax(forward(batch)), ids, num_classes, batch_size
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
