"""TextClassifier: how a classifier of texts is made and trained."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from rnn_keras.checkpoints import Checkpoints
from rnn_keras.errors import InputError
from rnn_keras.labels import (
    check_pairs,
    class_indices,
    class_names_of,
    classes_to_learn,
)
from rnn_keras.linear import linear_path
from rnn_keras.models import Cell, Pooling, build_classifier
from rnn_keras.pipeline import TextPipeline
from rnn_keras.recipe import recipe_for
from rnn_keras.sampling import WINDOW
from rnn_keras.streaming import Stream
from rnn_keras.training import Pair, compile_network, hold_out, train
from rnn_keras.vectorization import TextVectorizer, Unit
from rnn_keras.windows import StreamedIds


@keras.saving.register_keras_serializable(package="rnn_keras")
class TextClassifier(TextPipeline):
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

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str] | Stream,
        labels: Sequence[Any] | None = None,
        *,
        cell: Cell = "gru",
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
                data, validation = hold_out(*data, validation_split, seed)
            for part in filter(None, (data, validation)):
                check_pairs(*part)  # before the path of an earlier `fit` goes
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
            logits = np.log(np.maximum(self._probabilities(validation[0]), 1e-9))
            self._set_linear(
                linear_path(logits, known, validation, max_ngram=recipe.max_ngram)
            )
        return history

    def _encode(
        self, texts: Sequence[str], labels: Sequence[Any], count_cut: bool = False
    ) -> Pair:
        encoded = self.preprocessor.encode(texts)
        if count_cut:
            self.num_cut = encoded.num_cut
        return encoded.ids, class_indices(labels, self.class_names)

    def _encode_stream(self, stream: Stream) -> tuple[StreamedIds, Pair | None, Pair]:
        """What is trained on, what is held out, and the sample; `num_cut` is its."""
        known = self._encode(*stream.sample, count_cut=True)
        held_out = self._encode(*stream.validation) if stream.validation[0] else None
        data = StreamedIds(
            stream.train,
            self._encode,
            count=stream.sizes["train"],
            sample=known[0],
            max_length=self.preprocessor.max_length,
            window=WINDOW,
        )
        return data, held_out, known
