"""TextClassifier: raw texts in, class names and probabilities out.

A Keras model that holds a vectorizer, a network, the class names and, once it has been
trained, a linear model of n-grams. As a task of KerasHub holds its preprocessor, so
`fit`, `evaluate` and `predict` take raw strings here; calling the model itself takes
token ids, which the preprocessor makes of them.

How a network is trained is in `rnn_keras.training`; what a saved file may hold is in
`rnn_keras.classification.saving`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self, cast, overload

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.classification.explanation import Explanation, explain_logits
from rnn_keras.classification.recipe import Recipe, recipe_for_parts
from rnn_keras.classification.saving import load_model, save_rules
from rnn_keras.classification.settings import FitSettings, ModelSettings
from rnn_keras.datasets.labelled import (
    VALIDATION_SHARE,
    LabelledTexts,
    Splits,
    SplitTexts,
)
from rnn_keras.layers.keras_internals import untrack
from rnn_keras.layers.ngram_logits import LinearPath, fit_linear_path
from rnn_keras.layers.tensorflow_internals import tie_gradients_to_graphs
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.builders import build_classifier
from rnn_keras.scoring import score_chunks
from rnn_keras.training.batches import IdsInMemory, LabelledIds, StreamedIds
from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.training.loop import history_so_far
from rnn_keras.training.trainer import compile_network, hold_out, train
from rnn_keras.utils.errors import InputError, check_pairs
from rnn_keras.utils.predictions import (
    Prediction,
    class_indices,
    name_predictions,
    run_by_length,
    softmax,
)
from rnn_keras.utils.stages import stage


class _EncodedParts(NamedTuple):
    """The token ids and class indices of a data set.

    Attributes:
        train: what the network is trained on, in memory or made as it is read.
        validation: what is held out, or `None`.
        known: the part of `train` that is in memory, for the linear path.
    """

    train: LabelledIds
    validation: IdsInMemory | None
    known: IdsInMemory


@keras.saving.register_keras_serializable(package="rnn_keras")
class TextClassifier(keras.Model):
    """A classifier of raw texts.

    It is usually made by `from_texts`, which takes vocabulary and class names from the
    training texts, or by `load`.

    Args:
        network: from token ids `(batch, timesteps)` to logits `(batch, classes)`, as
            `build_classifier` makes it. `fit` trains it with the optimizer and loss
            that it was compiled with; if it was not compiled, with the usual ones.
        preprocessor: from strings to token ids.
        class_names: name of each logit, in order.
        linear: layer that adds the logits of n-grams to those of the network. `fit`
            makes it.
        **kwargs: arguments of `keras.Model`.

    Raises:
        ValueError: if the number of logits is not the number of class names.

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
        logits = {"network": network.output_shape[-1]}
        if linear is not None:
            logits["linear"] = linear.num_classes
        for part, number in logits.items():
            if number != len(class_names):
                raise ValueError(
                    f"`{part}` has {number} logits for {len(class_names)} class names."
                )
        super().__init__(**kwargs)
        self.network = network
        self.preprocessor = preprocessor
        self.class_names = tuple(str(name) for name in class_names)
        self.linear = linear
        self.num_cut = 0
        self._forward: Callable[[np.ndarray], np.ndarray] | None = None
        self.built = True
        if not network.compiled:
            compile_network(network)
        # Keras can load a file only if the variables of its optimizer exist, even if
        # the optimizer has not made a step yet.
        if not network.optimizer.built:
            network.optimizer.build(network.trainable_variables)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        logits = self.network(inputs, training=training)
        return logits if self.linear is None else self.linear(inputs, logits)

    def _set_linear(self, linear: LinearPath | None) -> None:
        # Keras would keep the former layer among the sublayers, and in the file.
        former, self.linear = self.linear, None
        if former is not None:
            untrack(self, former)
        self.linear = linear
        self._forward = None

    def predict_proba(self, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Return class probabilities `(texts, classes)`, columns as `class_names`."""
        return self.probabilities_of_ids(
            self.preprocessor.encode(texts).ids, batch_size
        )

    def probabilities_of_ids(
        self, ids: np.ndarray, batch_size: int = 256
    ) -> np.ndarray:
        """Return class probabilities of texts that are token ids already.

        Args:
            ids: `(texts, timesteps)`, padded on the right with 0.
            batch_size: number of texts that are computed together.

        Returns:
            float32 `(texts, classes)`, columns as `class_names`.
        """
        if self._forward is None:
            self._forward = make_forward(self)
        return predict_probabilities(
            self._forward, ids, len(self.class_names), batch_size
        )

    # A string is a sequence of strings, too, so the two overlap; the first one wins.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, texts: str, batch_size: int = 256
    ) -> Prediction: ...
    @overload
    def predict(
        self, texts: Sequence[str], batch_size: int = 256
    ) -> list[Prediction]: ...
    def predict(
        self, texts: str | Sequence[str], batch_size: int = 256
    ) -> Prediction | list[Prediction]:
        """Return class name and probabilities of each text.

        Args:
            texts: list of strings, or one string, which gets one answer.
            batch_size: number of texts that are computed together.
        """
        if isinstance(texts, str):
            return self.predict([texts])[0]
        probabilities = self.predict_proba(texts, batch_size)
        return name_predictions(texts, probabilities, self.class_names)

    def labels_of(self, texts: Sequence[str], batch_size: int = 256) -> list[str]:
        """Return the most probable class of each text; of equals the first."""
        best = self.predict_proba(texts, batch_size).argmax(axis=1)
        return [self.class_names[i] for i in best]

    def evaluate(
        self, texts: Sequence[str], labels: Sequence[Any], batch_size: int = 256
    ) -> dict[str, Any]:
        """Score the classifier on labelled texts: see `rnn_keras.scoring.score`.

        Raises:
            InputError: if a label is not in `class_names`, or the number of labels is
                not the number of texts.
        """
        check_pairs(texts, labels)
        return self.evaluate_chunks([(texts, labels)], batch_size)

    def evaluate_chunks(
        self,
        chunks: Iterable[tuple[Sequence[str], Sequence[Any]]],
        batch_size: int = 256,
    ) -> dict[str, Any]:
        """Score the classifier on texts and labels that come some at a time.

        Raises:
            InputError: if a label is not in `class_names`.
        """
        labels_of = partial(self.labels_of, batch_size=batch_size)
        return score_chunks(labels_of, chunks, self.class_names)

    def explain(
        self, text: str, label: str | None = None, against: str | None = None
    ) -> Explanation:
        """Tell what each token adds to a decision between two classes.

        How it is computed is in `rnn_keras.classification.explanation`.

        Args:
            text: one string.
            label: the class to explain; by default the most probable.
            against: the class to compare it with; by default the most probable of the
                others.

        Raises:
            InputError: if `label` or `against` is not a class, or both are the same,
                or the network is not a chain of layers from an embedding to logits.
        """
        encoded = self.preprocessor.encode([text]).ids
        first, second = self._two_classes(encoded, label, against)
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
            probabilities=self._probabilities_of_prefixes(ids),
            class_names=self.class_names,
        )

    def _two_classes(
        self, encoded: np.ndarray, label: str | None, against: str | None
    ) -> tuple[int, int]:
        """Return the indices of the class to explain and of the other one."""
        given = [name for name in (label, against) if name is not None]
        chosen = class_indices(given, self.class_names).tolist()
        if len(set(chosen)) < len(chosen):
            raise InputError(f"class {label!r} cannot be weighed against itself")
        probabilities = self.probabilities_of_ids(encoded)[0]
        ranked = np.argsort(-probabilities, kind="stable").tolist()
        others = [i for i in ranked if i not in chosen]
        first = chosen.pop(0) if label is not None else others.pop(0)
        second = chosen.pop(0) if against is not None else others.pop(0)
        return first, second

    def _probabilities_of_prefixes(self, ids: np.ndarray) -> np.ndarray:
        """Return the answers to the texts that end after each token.

        Args:
            ids: token ids of one text, `(tokens,)`.

        Returns:
            `(tokens, classes)`.
        """
        parts = [np.zeros((0, len(self.class_names)), np.float32)]
        for start in range(0, len(ids), 256):
            ends = np.arange(start, min(start + 256, len(ids)))
            read = ids[: ends[-1] + 1]
            rows = np.where(np.arange(len(read)) <= ends[:, None], read, 0)
            parts.append(self.probabilities_of_ids(rows))
        return np.concatenate(parts)

    def save_assets(self, dir_path: str) -> None:
        """Write the tokenizer's rules, for answers without TensorFlow."""
        save_rules(self.preprocessor, Path(dir_path))

    def load_assets(self, dir_path: str) -> None:
        # The vectorizer needs no rules: it has TensorFlow.
        pass

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
        config = {"linear": None, **config}  # older files lack `linear`
        for part in ("network", "preprocessor", "linear"):
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return cls(**config)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the classifier that `save` wrote to the file `path`.

        Nothing in the file is run as code.

        Raises:
            InputError: if there is no such file, or it does not hold a classifier.
        """
        return load_model(path, cls)

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str] | SplitTexts,
        labels: Sequence[Any] | None = None,
        *,
        seed: int | None = None,
        settings: ModelSettings | None = None,
        recipe: Recipe | None = None,
        **chosen: Any,
    ) -> Self:
        """Return an untrained classifier with the vocabulary and classes of `texts`.

        Args:
            texts: training texts (not the test texts: their words would leak into the
                vocabulary). Or, without `labels`, texts that are divided into parts
                already: `Splits` or a `Stream`.
            labels: a word or a number for each text. The classes are their different
                values; numbers are put in numeric order.
            seed: seed of the initial weights and of dropout. Sets Keras's global seed.
            settings: settings of the network and the vocabulary.
            recipe: what follows from the texts; by default `recipe_for` chooses it.
            **chosen: single settings by name, instead of those in `settings`:
                `cell`, `units`, `embedding_dim`, `num_layers`, `bidirectional`,
                `pooling`, `dropout`, `token_dropout`, `unit`, `max_tokens`,
                `min_count`, `max_length`. `ModelSettings` explains them and has
                their defaults.

        Raises:
            InputError: if there are no texts, fewer than two classes, or not as many
                labels as texts.
        """
        data = _parts_of(texts, labels)
        settings = replace(settings or ModelSettings(), **chosen)
        class_names = data.class_names()
        recipe = recipe or recipe_for_parts(data, settings.unit).override(settings)
        if data.block_size is not None:
            _length_of_stream(data, recipe.max_length)
        preprocessor = TextVectorizer(
            recipe.unit,
            max_tokens=settings.max_tokens,
            min_count=recipe.min_count,
            max_length=recipe.max_length or None,
        )
        preprocessor.adapt(chain.from_iterable(part for part, _ in data.read_train()))
        return cls.from_vocabulary(
            preprocessor,
            class_names,
            learning_rate=recipe.learning_rate,
            seed=seed,
            token_dropout=recipe.token_dropout,
            **settings.network(),
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
    ) -> Self:
        """Return an untrained classifier whose vocabulary and classes are known.

        Args:
            preprocessor: vectorizer with a vocabulary.
            class_names: names of the classes, in order.
            learning_rate: learning rate of the optimizer.
            seed: seed of the initial weights and of dropout. Sets Keras's global seed.
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
        texts: Sequence[str] | SplitTexts,
        labels: Sequence[Any] | None = None,
        *,
        validation_data: tuple[Sequence[str], Sequence[Any]] | None = None,
        validation_split: float = VALIDATION_SHARE,
        seed: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        progress: bool = True,
        checkpoints: Checkpoints | None = None,
        settings: FitSettings | None = None,
        recipe: Recipe | None = None,
        **chosen: Any,
    ) -> keras.callbacks.History:
        """Train on raw texts and keep the weights of the best epoch.

        Texts that are held out decide which epoch that is. Then a linear model of
        n-grams is fitted to all texts, and the held-out texts decide how much it
        counts beside the network: see `rnn_keras.layers.ngram_logits`.

        Args:
            texts: raw strings. Or, without `labels`, texts that are divided into parts
                already: `Splits` or a `Stream`. The linear model is fitted to a sample
                of a stream.
            labels: class name of each text.
            validation_data: texts and labels to hold out, which no earlier `fit` has
                seen. Empty lists count as no `validation_data`.
            validation_split: share of `texts` that is held out if there are no
                `validation_data`; equal texts stay together. None are held out where
                that would be fewer than ten texts, or fewer than there are classes.
            seed: seed of the order of the texts.
            callbacks: more Keras callbacks.
            progress: show a bar if standard error is a terminal.
            checkpoints: where the state is saved as training goes on. After a crash
                the same calls, from `from_texts` on, continue from there.
            settings: settings of the training.
            recipe: what follows from the texts; by default `recipe_for` chooses it.
            **chosen: single settings by name, instead of those in `settings`:
                `linear`, `epochs`, `batch_size`, `learning_rate`, `patience`.
                `FitSettings` explains them and has their defaults.

        Returns:
            Keras's `History`. Afterwards `num_cut` is the number of training texts
            that were longer than `max_length` and lost their end. For a stream it
            counts texts of the sample.

        Raises:
            InputError: if a label is not in `class_names`, or the number of labels is
                not the number of texts.
            Diverged: if a loss becomes infinite or `nan`. If there was an epoch before,
                the classifier is complete, with the weights of the best one.
        """
        data = _parts_of(texts, labels, validation_data)
        settings = replace(settings or FitSettings(), **chosen)
        with stage("reading"):
            encoded = self._encode_parts(data, validation_split, seed)
        self._set_linear(None)
        unit = self.preprocessor.unit
        recipe = recipe or recipe_for_parts(data, unit).override(settings)
        history, diverged = history_so_far(
            lambda: train(
                self.network,
                encoded.train,
                encoded.validation,
                epochs=recipe.epochs,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                patience=settings.patience,
                seed=seed,
                callbacks=callbacks,
                progress=progress,
                checkpoints=checkpoints,
            )
        )
        if settings.linear and encoded.validation is not None:
            with stage("linear models"):
                self._fit_linear(
                    encoded.known, encoded.validation, recipe.max_ngram, progress
                )
        if diverged is not None:
            raise diverged
        return history

    def _fit_linear(
        self,
        known: IdsInMemory,
        held_out: IdsInMemory,
        max_ngram: int,
        progress: bool,
    ) -> None:
        """Fit a linear path and weigh it against the network by held-out texts."""
        probabilities = self.probabilities_of_ids(held_out.ids)
        path = fit_linear_path(
            np.log(np.maximum(probabilities, 1e-9)),
            (known.ids, known.labels),
            (held_out.ids, held_out.labels),
            max_ngram=max_ngram,
            progress=progress,
        )
        self._set_linear(path)

    def _encode_parts(
        self, data: SplitTexts, validation_split: float, seed: int
    ) -> _EncodedParts:
        """Return token ids and class indices of `data`; set `num_cut`."""
        known, self.num_cut = self._encode_and_count_cut(data.sample)
        validation = None
        if len(data.validation):
            validation, _ = self._encode_and_count_cut(data.validation)
        if data.block_size is None:
            if validation is None:
                known, validation = hold_out(known, validation_split, seed)
            return _EncodedParts(known, validation, known)
        streamed = StreamedIds(
            data.read_train,
            lambda *some: self._encode_and_count_cut(LabelledTexts(*some))[0],
            count=data.sizes["train"],
            sample=known.ids,
            max_length=_length_of_stream(data, self.preprocessor.max_length),
            block_size=data.block_size,
        )
        return _EncodedParts(streamed, validation, known)

    def _encode_and_count_cut(self, part: LabelledTexts) -> tuple[IdsInMemory, int]:
        """Return ids and class indices, and how many texts lost their end."""
        encoded = self.preprocessor.encode(part.texts)
        labels = class_indices(part.labels, self.class_names)
        return IdsInMemory(encoded.ids, labels), encoded.num_cut


def _parts_of(
    texts: Sequence[str] | SplitTexts,
    labels: Sequence[Any] | None,
    validation_data: tuple[Sequence[str], Sequence[Any]] | None = None,
) -> SplitTexts:
    """Return the texts as one data set, whichever way they were given.

    Raises:
        InputError: if `texts` are a list of strings without labels.
    """
    if labels is None:
        if not hasattr(texts, "read_train"):
            raise InputError("texts without labels; expected a label for each text")
        return cast(SplitTexts, texts)
    train, validation = (
        # Any sequences will do; nothing here changes them.
        LabelledTexts(cast(list[str], part[0]), cast(list[str], part[1]))
        for part in ((texts, labels), validation_data or ((), ()))
    )
    return Splits(train, validation, LabelledTexts([], []), ())


def _length_of_stream(data: SplitTexts, max_length: int | None) -> int:
    """Return the number of tokens after which the texts of a stream are cut.

    Raises:
        InputError: if they are not to be cut: the lengths to pad to must be known.
    """
    if not max_length:
        raise InputError(
            f"{data.source}: texts of a stream are cut; expected a max_length "
            "above 0 (or --no-stream)"
        )
    return max_length


def make_forward(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from ids `(batch, timesteps)` to logits `(batch, classes)`.

    It avoids the fixed cost of `keras.Model.predict`. With TensorFlow one graph serves
    every shape, whereas Keras's own functions are traced again for each shape, which
    takes far longer than the answer. The graph reads the weights of the model when it
    is called, so it stays right when the model is trained on.
    """
    if keras.backend.backend() == "jax":
        return _make_jax_forward(model)
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    graph = tf.function(lambda ids: model(ids, training=False))
    with stage("compiling"):
        concrete = graph.get_concrete_function(tf.TensorSpec((None, None), tf.int32))
    tie_gradients_to_graphs()
    return lambda ids: concrete(tf.constant(ids)).numpy()


def _make_jax_forward(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return the same for JAX, which compiles a program for every shape.

    Ids are padded to a power of two in both directions, so that there are few shapes.
    A model that is not compiled by `model.compile` would run operation by operation,
    and JAX would compile each of them.
    """
    import jax

    @jax.jit
    def compute(trainable: list, other: list, ids: Any) -> Any:
        return model.stateless_call(trainable, other, ids, training=False)[0]

    def forward(ids: np.ndarray) -> np.ndarray:
        padding = [(0, 2 ** (n - 1).bit_length() - n) for n in map(int, ids.shape)]
        variables = (model.trainable_variables, model.non_trainable_variables)
        values = ([variable.value for variable in group] for group in variables)
        return np.asarray(compute(*values, np.pad(ids, padding)))[: len(ids)]

    return forward


def predict_probabilities(
    forward: Callable[[np.ndarray], np.ndarray],
    ids: np.ndarray,
    num_classes: int,
    batch_size: int,
) -> np.ndarray:
    """Return class probabilities, float32 `(texts, classes)`.

    Args:
        forward: from ids `(batch, timesteps)` to logits, as `make_forward` returns it.
        ids: `(texts, timesteps)`, padded on the right with 0.
        num_classes: number of columns, also if there are no texts.
        batch_size: number of texts that are computed together.
    """
    return run_by_length(
        lambda batch: softmax(forward(batch)), ids, num_classes, batch_size
    )
