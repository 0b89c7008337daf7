"""How often the notebooks' claims about training hold, over seeds they do not use.

    python benchmarks/claims.py [--only NAME ...] [--seeds 20]
    python benchmarks/claims.py --only            # writes claims.md again

A notebook trains with a few seeds and asserts what it says of the result. Here each
of its experiments runs again with other seeds, on the notebook's own code: its cells
are run in this process, without their assertions. Every value is kept in claims.csv as
its run ends, and a run that is there is not made again. claims.md is written from all
of them: for each claim the seeds that it held in, the worst value, and the assertion
in the notebook as it stands now.

The claims are listed in claims.toml: what a notebook says, the value it is about, the
bound, and the assertion. A claim about a mean over several seeds is tested on the worst
group of so many that can be drawn from the seeds here.

The experiments of notebooks 08 to 12 need their corpora: RNN_KERAS_CACHE names the
folder.
"""

import argparse
import ast
import contextlib
import csv
import io
import json
import os
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"
RESULTS = HERE / "claims.csv"
FIRST_SEED = 100  # the notebooks' own seeds are below 10
INTRODUCTION = """# The notebooks' claims about training, over other seeds

Written by `python benchmarks/claims.py`, which repeats each experiment with seeds that
no notebook uses. *Held in* counts seeds; *worst* is the value of the worst seed, or the
mean of the worst group of so many seeds, where the claim is about a mean.
"""
# Experiment and name of a value to the values of all seeds, in their order.
ByName = dict[tuple[str, str], np.ndarray]
# A seed with its values by name.
Values = Iterator[tuple[int, dict[str, float]]]


def code_of(notebook: str) -> list[str]:
    """The sources of a notebook's code cells, in order."""
    text = (NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8")
    cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    return ["".join(cell["source"]) for cell in cells]


class Notebook:
    """Runs cells of a notebook here, and holds their variables in `names`.

    Args:
        name: of the file, without `.ipynb`; a path below `notebooks/`.
    """

    def __init__(self, name: str):
        self.sources = code_of(name)
        self.names: dict[str, Any] = {"__name__": name}
        self.cell("# rnn_keras comes first")

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    def find(self, text: str) -> int:
        """The index of the one code cell that holds `text`.

        Raises:
            LookupError: if no cell holds it, or more than one.
        """
        found = [i for i, source in enumerate(self.sources) if text in source]
        if len(found) != 1:
            raise LookupError(f"{text!r}: in {len(found)} cells, not in one")
        return found[0]

    def cell(self, text: str, **changed: str) -> None:
        """Run the cell that holds `text`, without its assertions.

        Args:
            text: what only this cell holds.
            **changed: keyword arguments of calls in it, as the source has them, to
                what they become: `seed="7"` turns every `seed=0` into `seed=7`.
        """
        self._run(ast.parse(self.sources[self.find(text)]).body, changed)

    def cells(self, *texts: str) -> None:
        """Run several cells as they stand, each named by what only it holds."""
        for text in texts:
            self.cell(text)

    def statement(self, text: str, **changed: str) -> None:
        """Run the one statement at the top of a cell that begins with `text`."""
        found = [
            node
            for source in self.sources
            if text in source
            for node in ast.parse(source).body
            if (ast.get_source_segment(source, node) or "").startswith(text)
        ]
        if len(found) != 1:
            raise LookupError(f"{text!r} begins {len(found)} statements, not one")
        self._run(found, changed)

    def _run(self, body: list[ast.stmt], changed: dict[str, str]) -> None:
        tree = _Change(changed).visit(ast.Module(body, type_ignores=[]))
        code = compile(ast.fix_missing_locations(tree), self.names["__name__"], "exec")
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, self.names)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


class _Change(ast.NodeTransformer):
    """Drops assertions, and gives keyword arguments of calls other values."""

    def __init__(self, changed: dict[str, str]):
        self.changed = changed

    def visit_Assert(self, node: ast.Assert) -> ast.Pass:
        return ast.Pass()

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.generic_visit(node)
        if node.arg in self.changed:
            node.value = ast.parse(self.changed[node.arg], mode="eval").body
        return node


def set_seed(seed: int) -> None:
    """Start everything that Keras draws from `seed`."""
    import keras

    keras.utils.set_random_seed(seed)


def restart(network: Any, seed: int) -> None:
    """New weights for a compiled network; see `rnn_keras.training.restart`."""
    from rnn_keras.training import restart

    restart(network, seed)


# 01


def seed_program(seeds: Sequence[int]) -> Values:
    """The network of four sentences: its losses, and the first sentence's logits."""
    notebook = Notebook("01_quickstart")
    notebook.cell("corpus = load_dataset")
    notebook.cell("vocabulary = ")
    for seed in seeds:
        set_seed(seed)
        notebook.cell("network = build_classifier(")
        notebook.cell("history = network.fit(")
        losses = notebook["history"]["loss"]
        logits = np.asarray(notebook["network"](notebook["ids"][:1]))[0]
        yield (
            seed,
            {
                "first loss": losses[0],
                "last loss": losses[-1],
                "logit of class 0, less that of 1": logits[0] - logits[1],
            },
        )


def four_sentences(seeds: Sequence[int]) -> Values:
    """What `TextClassifier` says after four sentences, of these and of others."""
    notebook = Notebook("01_quickstart")
    notebook.cell("corpus = load_dataset")
    notebook.cell("def four_sentences")
    notebook.statement("new = [")
    for seed in seeds:
        classifier = notebook["four_sentences"](seed)
        own = classifier.predict_proba(notebook["corpus"].texts)
        texts = (*notebook["new"], "My dog eats my homework")
        others = classifier.predict_proba(texts)[:, 1]
        said = [*(others[:-1] > 0.5), others[-1]]
        names = [f"unwanted: {text}" for text in texts]
        yield (
            seed,
            {
                "least probability of the right class": own[
                    range(4), [0, 0, 1, 1]
                ].min(),
                **dict(zip(names, said, strict=True)),
            },
        )


# 02


def words_in_order(seeds: Sequence[int]) -> Values:
    """Who is bitten, from counts of words and from words in order."""
    notebook = Notebook("02_recurrence")
    notebook.cell('words = ["", "bites"')
    for seed in seeds:
        set_seed(seed)
        notebook.cell("feed_forward = ")
        notebook.cell("losses = {")
        notebook.cell("path = np.stack")
        counts, words = (losses[-1] for losses in notebook["losses"].values())
        path, hurt = notebook["path"], notebook["hurt"]
        logits = np.asarray(notebook["recurrent"](notebook["ids"]))
        yield (
            seed,
            {
                "loss from counts, less ln 2": abs(counts - np.log(2)),
                "loss from words in order": words,
                "apart after 'bites'": float(np.linalg.norm(path[0, 1] - path[1, 1])),
                "apart at the end": float(np.linalg.norm(path[0, 2] - path[1, 2])),
                "right": np.mean(logits.argmax(axis=1) == hurt),
            },
        )


def last_letter(seeds: Sequence[int]) -> Values:
    """Trained on 20 steps, asked about 3 to 300."""
    notebook = Notebook("02_recurrence")
    notebook.cell("def last_letter")
    for seed in seeds:
        restart(notebook["reader"], seed)
        notebook.statement("history = reader.fit")
        values = {}
        for length in (3, 20, 100, 300):
            sequences, answers = notebook["last_letter"](500, length, seed=1)
            said = np.asarray(notebook["reader"](sequences)).argmax(axis=1)
            values[f"accuracy, {length} steps"] = np.mean(said == answers)
        yield seed, values


# 03


def _gradients() -> Notebook:
    notebook = Notebook("03_gradients_through_time")
    notebook.statement("cross_entropy = ")
    notebook.cell("def temporal_order_network")
    return notebook


def before_and_after(seeds: Sequence[int]) -> Values:
    """Radius, saturation and Jacobians of a network before and after training."""
    notebook = _gradients()
    notebook.statement('network = temporal_order_network("simple_rnn")')
    notebook.statement("def measure")
    for seed in seeds:
        restart(notebook["network"], seed)
        notebook.statement("before = ")
        notebook.statement("network.fit(task.inputs")
        notebook.statement("after = ")
        notebook.statement("logits = np.asarray(network(task")
        notebook.statement("accuracy = ")
        values = {"accuracy": notebook["accuracy"]}
        for stage in ("before", "after"):
            at = notebook[stage]
            values |= {f"radius {stage}": at["radius"]}
            values |= {f"saturated {stage}": at["saturated"]}
            values |= {
                f"norm {stage}": at["norms"][1],
                f"bound {stage}": at["bound"][1],
            }
        yield seed, values


def clipping(seeds: Sequence[int]) -> Values:
    """Plain gradient descent, with the gradient clipped and as it is."""
    notebook = _gradients()
    notebook.cell("class LossByStep")
    notebook.cell("def descend(")
    descend = notebook["descend"]
    runs = {clip: descend(clip=clip, seeds=seeds) for clip in (None, 1.0)}
    for seed, plain, clipped in zip(seeds, *runs.values(), strict=True):
        yield (
            seed,
            {
                "highest, as it is": plain.max(),
                "end, as it is": plain[-20:].mean(),
                "highest, clipped": clipped.max(),
                "end, clipped": clipped[-20:].mean(),
            },
        )


def open_gates(seeds: Sequence[int]) -> Values:
    """How much of a gradient is left at distance 50, before any training."""
    notebook = _gradients()
    notebook.cell("def set_gates")
    for seed in seeds:
        notebook.cell("kept = {}", seed=str(seed))
        yield seed, {name: norms[-51] for name, norms in notebook["kept"].items()}


def by_length(kind: str, length: int, seeds: Sequence[int]) -> Values:
    """Accuracy on temporal order of one length; gates as Keras starts them, or set."""
    notebook = _gradients()
    notebook.cells("def set_gates", "def learn(network", "def experiment(")
    found = notebook["experiment"](kind, length, seeds)
    for seed, accuracy in zip(seeds, found, strict=True):
        yield seed, {"accuracy": accuracy}


# 04


def _laboratory() -> Notebook:
    notebook = Notebook("04_vectorization_and_padding")
    notebook.cells("WHO = (", "def pad(", "def network(", "def learn(")
    return notebook


def padding(cell: str, masked: bool, steps: int, seeds: Sequence[int]) -> Values:
    """Accuracy of a network that is trained and tested with so many more zeros."""
    notebook = _laboratory()
    notebook.cell("def laboratory(")
    found = notebook["laboratory"](cell, masked, steps, seeds)
    yield from zip(seeds, found, strict=True)


def fading(seeds: Sequence[int]) -> Values:
    """Untrained: what 25 steps of padding leave of the states' differences."""
    notebook = _laboratory()
    notebook.statement("def states(")
    notebook.statement("end_of_text = ")
    notebook.statement("long_after = ")
    reading, text_end = notebook["states"], notebook["end_of_text"]
    ids = notebook["long_after"][notebook["test_rows"]][:, : text_end + 26]
    networks = {c: notebook["network"](c, masked=False) for c in notebook["CELLS"]}
    for seed in seeds:
        values = {}
        for cell, network in networks.items():
            restart(network, seed)
            states = reading(network, ids)[:, text_end:].astype("float64")
            differ = states.std(axis=0).mean(axis=1)
            values[cell] = differ[25] / differ[0]
        yield seed, values


def gradient_over_padding(seeds: Sequence[int]) -> Values:
    """SimpleRNN's share of the gradient that comes back over 400 zeros."""
    notebook = _laboratory()
    notebook.statement("end_of_text = ")
    notebook.statement("long_after = ")
    notebook.names["fresh"] = {"simple_rnn": notebook["network"]("simple_rnn", False)}
    for seed in seeds:
        notebook.names["SEEDS"] = [seed]
        notebook.cell('model, shares = fresh["simple_rnn"]')
        yield seed, {when: share[0] for when, share in notebook["shares"].items()}


def forgotten_mask(seeds: Sequence[int]) -> Values:
    """Trained without padding, then used with 400 zeros, with a mask and without."""
    notebook = _laboratory()
    notebook.statement("end_of_text = ")
    notebook.statement("long_after = ")
    right = notebook["labels"][notebook["test_rows"]]
    networks = {m: notebook["network"]("simple_rnn", m) for m in (True, False)}
    padded = notebook["long_after"][notebook["test_rows"]]
    for seed in seeds:
        values = {}
        for masked, network in networks.items():
            notebook["learn"](network, notebook["sentence_ids"], seed)
            answers = notebook["answer"](network, padded)
            values["masked" if masked else "no mask"] = np.mean(answers == right)
        yield seed, values


# 05


def spam_filter(seeds: Sequence[int]) -> Values:
    """One division of the messages; other weights and orders."""
    notebook = Notebook("05_spam_filter")
    notebook.cells("def is_chinese", "splits = ")
    for seed in seeds:
        for text in (
            "classifier = TextClassifier.from_texts(splits",
            "test_chinese = ",
            "history = classifier.fit(",
            "counter = LinearBaseline(vectorizer)",
            "right = {name: np.array(given) == labels",
            "both_wrong = ",
            "unknown = (encoded",
        ):
            notebook.cell(text, seed=str(seed))
        yield seed, _spam_values(notebook)


def _spam_values(notebook: Notebook) -> dict[str, float]:
    from rnn_keras.scoring import score

    losses, right = notebook["history"], notebook["right"]
    chinese = notebook["test_chinese"]
    true, names = notebook["test"].labels, notebook["names"]
    best = int(np.argmin(losses["val_loss"]))
    values = {
        f"F1 of spam, {name}": score(true, given, names)["f1"]["spam"]
        for name, given in notebook["answers"].items()
    }
    values |= {
        "epochs from the best validation loss to the best loss": np.argmin(
            losses["loss"]
        )
        - best,
        "last loss": losses["loss"][-1],
        "best validation loss": losses["val_loss"][best],
        "ham stopped": notebook["stopped"],
        "spam passed": notebook["passed"],
        "errors in common, of those by chance": notebook["both_wrong"].mean()
        / notebook["expected"],
        "unknown words, more in wrong answers": notebook["more"],
        "accuracy, English": right["both"][~chinese].mean(),
        "accuracy, Chinese": right["both"][chinese].mean(),
    }
    for text, tokens in (
        ("advertisement = ", ("your", "free", "say", "way")),
        ("insurer = ", ("your", "07700", "he", "the")),
    ):
        notebook.cell(text)
        why = notebook["why"]
        share = dict(zip(why.tokens, why.contributions.tolist(), strict=True))
        values |= {f"{text[:-3]}: share of {t}": share[t] for t in tokens}
        values[f"{text[:-3]}: sum of shares, off by"] = abs(
            why.contributions.sum() + why.rest - why.difference
        )
        if text.startswith("adv"):
            notebook.cell("spam_so_far = ")
            values["advertisement: fell after free"] = notebook["fell"]
    notebook.cell("said = [classifier.predict")
    for prediction in notebook["said"]:
        wanted = "spam" if prediction.text in notebook["wanted"] else "ham"
        values[f"{prediction.text[:20]}"] = prediction.label == wanted
    return values


def spam_by_division(seeds: Sequence[int]) -> Values:
    """Other divisions and weights: F1 of spam by network, counter and both."""
    notebook = Notebook("05_spam_filter")
    notebook.cell("def is_chinese")
    notebook.names["names"] = ["ham", "spam"]
    notebook.cell("def f1_of_spam")
    for seed in seeds:
        scores = notebook["f1_of_spam"](seed)
        yield seed, dict(zip(("network", "counter", "both"), scores, strict=True))


# 06


def _compare(splits: Any, name: str, seeds: Sequence[int], settings: dict) -> Values:
    """Accuracy of every model, one seed more at a time; at the end the summary.

    The seeds of `compare` are 0, 1, 2 and so on, of which the notebook has the first.
    """
    from rnn_keras.experiments import compare

    out = HERE.parent / "runs" / "claims" / name
    for seed in seeds:
        count = seed - FIRST_SEED + 2
        with ThreadPoolExecutor(1) as one_at_a_time:
            compared = compare(
                splits, out, seeds=count, executor=one_at_a_time, **settings
            )
        last = compared.table().drop_duplicates("model", keep="last")
        yield seed, dict(zip(last["model"], last["accuracy"], strict=True))
    runs = compared.table().drop(columns="seconds")
    runs.to_csv(HERE / f"{name}_runs.csv", index=False)
    _summary(compared).to_csv(HERE / f"{name}_summary.csv")


def _summary(compared: Any) -> Any:
    """Scores, their differences to TF-IDF and to SimpleRNN, without the seconds."""
    columns = {
        f"difference{end}": f"beside_simple_rnn{end}" for end in ("", "_low", "_high")
    }
    beside = compared.summary("simple_rnn")[[*columns]].rename(columns=columns)
    return compared.summary().join(beside).drop(columns="seconds").round(4)


def marked_letters(seeds: Sequence[int]) -> Values:
    """Order of two marks among 43 letters, at equal parameters."""
    notebook = Notebook("06_lstm_and_gru")
    notebook.cell("def marked_letters")
    notebook.cell("network = {")
    settings = notebook["network"] | notebook["training"]
    settings |= {"units": 16, "match": "parameters"}
    yield from _compare(notebook["letters"], "letters", seeds, settings)


def compared_messages(seeds: Sequence[int]) -> Values:
    """Messages, at equal parameters."""
    notebook = Notebook("06_lstm_and_gru")
    notebook.cell("messages = load_dataset")
    yield from _compare(notebook["messages"], "messages", seeds, notebook["small"])


def gates(seeds: Sequence[int]) -> Values:
    """How far the gates are open, by the letter read, before and after training."""
    notebook = Notebook("06_lstm_and_gru")
    notebook.cell("def marked_letters")
    notebook.cell("network = {")
    notebook.cell("def openness_by_letter")
    notebook.cell("def gates_of")
    for seed in seeds:
        values = {}
        for cell in ("lstm", "gru"):
            before, after, accuracy = notebook["gates_of"](cell, seed)
            values[f"{cell}, accuracy"] = accuracy
            for when, openness in (("before", before), ("after", after)):
                name = f"{cell} {when}"
                between = np.abs(openness[4] - openness[5]).mean()
                values[f"{name}, between x and y"] = between
                others = np.ptp(openness[:4], axis=0).mean()
                values[f"{name}, between the others"] = others
                values[f"{name}, most open"] = openness[:4].max()
                values[f"{name}, mean"] = openness.mean()
        yield seed, values


# 07


def _structure(*texts: str) -> Notebook:
    notebook = Notebook("07_finding_structure_in_time")
    notebook.cells("def elman_network", "def cut(", "def train(", *texts)
    return notebook


def temporal_xor(kind: str, seeds: Sequence[int]) -> Values:
    """Errors at the first, second and third bit."""
    notebook = _structure("def xor_errors")
    if kind == "gru":
        network = notebook["elman_network"](1, 2, 1, notebook["layers"].GRU)
    else:
        notebook.statement("two_units = ")
        network = notebook["two_units"]
    for seed in seeds:
        notebook.names["SEEDS"] = [seed]
        errors = notebook["xor_errors"](network, passes=150)[0]
        yield seed, dict(zip(("first", "second", "third"), errors, strict=True))


def structured_letters(kind: str, seeds: Sequence[int]) -> Values:
    """Errors at consonants and vowels, and of each property at consonants."""
    notebook = _structure("def stream_outputs")
    cell = {"gru": notebook["layers"].GRU, "simple_rnn": notebook["layers"].SimpleRNN}
    network = notebook["elman_network"](6, 20, 6, cell[kind])
    tasks = [notebook[name] for name in ("letters", "new_letters", "properties")]
    starts = notebook["cut"](notebook["new_letters"].starts, 200)
    for seed in seeds:
        notebook.names["SEEDS"] = [seed]
        (one,) = notebook["stream_outputs"](network, *tasks, 30, 0.01)
        rms = notebook["rms"](one)
        wrong = np.abs(one[0] - one[1])[starts].mean(axis=0)
        names = ("consonant", "vowel", "interrupted", "high", "back", "voiced")
        yield (
            seed,
            {
                "at consonants": rms[starts].mean(),
                "at vowels": rms[~starts].mean(),
                **dict(zip(names, wrong, strict=True)),
            },
        )


def word_beginnings(kind: str, seeds: Sequence[int]) -> Values:
    """How well the errors' peaks mark the beginnings of words."""
    notebook = _structure("def stream_outputs", "def boundaries")
    cell = {"gru": notebook["layers"].GRU, "simple_rnn": notebook["layers"].SimpleRNN}
    network = notebook["elman_network"](5, 20, 5, cell[kind])
    tasks = [notebook[name] for name in ("text", "new_text", "codes")]
    starts = notebook["cut"](notebook["new_text"].starts, 200)
    for seed in seeds:
        notebook.names["SEEDS"] = [seed]
        (one,) = notebook["stream_outputs"](network, *tasks, 40, 0.02)
        found = notebook["boundaries"](notebook["rms"](one), starts)
        yield seed, dict(zip(("precision", "recall", "F1"), found, strict=True))


def word_trees(kind: str, seeds: Sequence[int]) -> Values:
    """Loss over the best possible, and what the trees of states keep apart."""
    texts = (
        "sentences, new_sentences",
        "one_hot = ",
        "def learn_sentences",
        "def branches",
    )
    notebook = _structure(*texts, "def tree_scores")
    notebook.statement("def fit_of_tree")
    if kind == "gru":
        network = notebook["elman_network"](30, 150, 30, notebook["layers"].GRU)
        schedule = ((0.002, 2), (0.01, 4), (0.002, 2))
    else:
        notebook.statement("logistic = ")
        notebook.statement("word_network = ")
        notebook.statement("schedule = ")
        network, schedule = notebook["word_network"], notebook["schedule"]
    words = notebook["words"]
    pair = words.index("dragon"), words.index("monster")
    for seed in seeds:
        notebook.names["SEEDS"] = [seed]
        (stages,) = notebook["learn_sentences"](network, schedule)
        values = {}
        for stage, (loss, states) in zip(("early", "late"), stages, strict=True):
            values[f"{stage}, loss / best"] = loss / notebook["floor"]
            for name, value in notebook["tree_scores"](states).items():
                values[f"{stage}, {name}"] = value
            values[f"{stage}, fit of the tree"] = notebook["fit_of_tree"](states)
            values[f"{stage}, dragon and monster"] = _nearest(states, *pair)
        yield seed, values


def _nearest(states: np.ndarray, one: int, other: int) -> bool:
    """Whether each is the nearest neighbour of the other."""
    distances = np.linalg.norm(states[:, None] - states[None], axis=2)
    nearest = distances.argsort()[:, 1]
    return bool(nearest[one] == other and nearest[other] == one)


def neighbours(seeds: Sequence[int]) -> Values:
    """The solutions' simpler training: dragon and monster."""
    notebook = Notebook("solutions/07_finding_structure_in_time")
    notebook.cell("sentences = elman_sentences(10_000)")
    words = notebook["words"]
    for seed in seeds:
        notebook.names["SEEDS"] = [seed]
        notebook.cell("for seed in SEEDS")
        pair = words.index("dragon"), words.index("monster")
        yield seed, {"each other's nearest": _nearest(notebook["means"], *pair)}


# 08


def sms_spam(seeds: Sequence[int]) -> Values:
    """Text messages: F1 of spam, and how many answers are wrong."""
    notebook = Notebook("08_real_data")
    notebook.cell("corpora = {name: load_dataset")
    for seed in seeds:
        notebook.cell("classifier = TextClassifier.from_texts(train", seed=str(seed))
        notebook.cell("wrong = [")
        notebook.cell("at most 25 errors")
        said = notebook["classifier"].predict(notebook["text"])
        yield (
            seed,
            {
                "F1 of spam, classifier": notebook["f1"]["classifier"],
                "F1 of spam, TF-IDF": notebook["f1"]["TF-IDF"],
                "wrong answers": len(notebook["wrong"]),
                "the advertisement is spam": said.label == "spam",
            },
        )


# 09


def shakespeare(seeds: Sequence[int]) -> Values:
    """The language model: its losses, what it writes, and its best units."""
    from rnn_keras import build_language_model

    notebook = Notebook("09_text_generation")
    notebook.cells(
        "text = load_text",
        "order, num_rows = 8",
        "inputs, targets = next",
        "def look_at",
        "def correlations",
    )
    for seed in seeds:
        set_seed(seed)
        untrained = build_language_model(notebook["size"], cell="gru", units=256)
        by_chance = notebook["best_units"](untrained)
        notebook.cell("network = build_language_model(", seed=str(seed))
        notebook.cells(
            "long_rows = ",
            "places = ",
            "costs_of = ",
            "texts = {}",
            "def words_of",
            "circle = ",
        )
        trained = notebook["best_units"](notebook["network"])
        history, share = notebook["history"], notebook["share"]
        memory, counted = notebook["by_memory"], notebook["counted_there"]
        yield (
            seed,
            {
                "after a sixteenth of a pass": history[0],
                "after one pass": history[2],
                "at the end": history[-1],
                "1 to 5 characters: least lead of the n-grams": min(
                    memory[k] - counted[k] for k in range(1, 6)
                ),
                "gain from 8 to 32 characters": memory[8] - memory[32],
                "gain from 64 to 128 characters": memory[64] - memory[128],
                "both together below the better": notebook["below"],
                **{f"known words at {heat}": part for heat, part in share.items()},
                "repeats itself at 0": bool(notebook["circle"]),
                **{f"unit of the {f}": r for f, (_, r) in trained.items()},
                **{f"unit of the {f}, untrained": r for f, (_, r) in by_chance.items()},
            },
        )


# 10


def translator(seeds: Sequence[int]) -> Values:
    """The translator with attention: BLEU, and where it looks."""
    notebook = Notebook("10_translation")
    notebook.cells(
        "renderings = defaultdict(list)",
        "order = list(renderings)",
        "source = TextVectorizer(",
        "def bleu(",
        "def grams_of",
        "weigh = ",
        "read, predicted = ",
        "def train(",
        "def looks",
    )
    for seed in seeds:
        notebook.cell("network, losses = ", seed=str(seed))
        notebook.cells("greedy, beam = ", 'scores["beam"] = ')
        notebook.statement("right = [one for")
        notebook.cells("untrained = ", "repeated = ")
        losses, gain = notebook["losses"], notebook["gain"]
        yield (
            seed,
            {
                "last loss / first loss": losses[-1] / losses[0],
                "as likely by beam search": (gain > -1e-4).mean(),
                "likelier by beam search": (gain > 1e-4).mean(),
                "BLEU, greedy": notebook["scores"]["greedy"],
                "BLEU, beam": notebook["scores"]["beam"],
                "right translations": len(notebook["right"]),
                "order followed": notebook["follows"],
                "order followed, untrained": notebook["control"],
                "looks at the name": notebook["at_name"],
                "BLEU lost by unknown words": notebook["known_words"]
                - notebook["unknown_words"],
                "a word twice": np.mean(notebook["repeated"]),
            },
        )


# 11


def melbourne(seeds: Sequence[int]) -> Values:
    """The LSTM of notebook 11: its error a day ahead, and its interval."""
    notebook = Notebook("11_forecasting")
    notebook.cells(
        'table = load_series("melbourne")',
        'begin = "1989"',
        "steps = 30",
        'filled = table["temperature"]',
        "def train(",
    )
    for seed in seeds:
        notebook.cell("network = build_forecaster(3, 1,", seed=str(seed))
        notebook.cells("smoother = ", "in_fit = ", "names = [")
        width, covered = notebook["width"], notebook["covered"]["by the network"]
        within = notebook["within"]
        median, truth = notebook["median"], notebook["truth"]
        yield (
            seed,
            {
                "MAE": notebook["error"](median),
                "spread of the median / of the truth": np.std(median[notebook["shown"]])
                / np.std(truth[notebook["shown"]]),
                "covered": within["by the network"].mean(),
                "covered by one width": within["of one width"].mean(),
                "covered, least of the seasons": covered.min(),
                "covered, most of the seasons": covered.max(),
                "width in winter / least of the others": width[2]
                / np.delete(width, 2).min(),
            },
        )


def days_ahead(cell: str, horizon: int, seeds: Sequence[int]) -> Values:
    """MAE by day of the networks of benchmarks/forecasting.py, in 1989 and 1990."""
    import forecasting

    days = forecasting.prepare("test", horizon)
    truth = days.celsius(days.tested[1])[:, :, 0]
    for seed in seeds:
        rows = forecasting.score(forecasting.network(days, cell, seed), truth)
        values = {f"MAE, day {row['day']}": row["mae"] for row in rows}
        yield seed, {**values, "covered, day 1": rows[0]["covered"]}


def beijing(seeds: Sequence[int]) -> Values:
    """The network for 24 hours: its errors beside the others', and its interval."""
    notebook = Notebook("11_forecasting")
    notebook.cells(
        'air = load_series("beijing")',
        "rising = ",
        "truth = forecast_windows(dust",
        "filled = dust",
        "def fit_median",
        "def train(",
    )
    for seed in seeds:
        notebook.cell("change_from = ", seed=str(seed))
        notebook.cell("known = ~np.isnan(truth")
        network, widths = notebook["errors"]["network"], notebook["widths"]
        inside, months = notebook["inside"], notebook["months"]
        known = notebook["known"]
        quarters = [
            inside[rows][known[rows]].mean()
            for rows in ((months - 1) // 3 == quarter for quarter in range(4))
        ]
        yield (
            seed,
            {
                "hours better than persistence": notebook["hours_better"],
                "below the line, median hour": notebook["by_line"],
                "below the line by |e|, median hour": notebook["by_same_loss"],
                "error after six hours / after one": network[5] / network[0],
                "covered": inside[known].mean(),
                "covered, least of the quarters": min(quarters),
                "covered, most of the quarters": max(quarters),
                "width, January to March / July to September": widths[
                    "January to March"
                ]
                / widths["July to September"],
            },
        )


# 12


def spoken_digits(seeds: Sequence[int]) -> Values:
    """The recognizer: single digits, strings, and where it puts the words."""
    notebook = Notebook("12_speech")
    notebook.cells(
        "spoken = load_recordings",
        "layer = LogMel(",
        "def squeezed",
        "def of_line",
    )
    for seed in seeds:
        notebook.cell("def train(members", seed=str(seed))
        notebook.cells(
            "answers = classify(network",
            "strings = ",
            "def joined_with_borders",
            "random, inside, span",
        )
        wrong, rates = 1 - notebook["right"].mean(), notebook["rates"]
        delays = notebook["delays"]
        yield (
            seed,
            {
                "first loss": notebook["losses"][0],
                "last loss": notebook["losses"][-1],
                "accuracy": 1 - wrong,
                "errors / errors of the line": wrong
                / (1 - notebook["line"]["official"]),
                "error rate, greedy": rates[1],
                "error rate, beam": rates[8],
                "error rate, difference": abs(rates[1] - rates[8]),
                "words within their borders": np.mean(notebook["inside"]),
                "median share of their time": np.median(notebook["span"]),
                "seconds from a word's beginning to its mark": np.median(delays),
                "seconds that four of five of them differ by": np.ptp(
                    np.quantile(delays, [0.1, 0.9])
                ),
            },
        )


KINDS = ("SimpleRNN", "GRU", "LSTM")
EXPERIMENTS: dict[str, Callable[[Sequence[int]], Values]] = {
    "seed_program": seed_program,
    "four_sentences": four_sentences,
    "words_in_order": words_in_order,
    "last_letter": last_letter,
    "before_and_after": before_and_after,
    "clipping": clipping,
    "open_gates": open_gates,
    **{f"{kind}, 20 steps": partial(by_length, kind, 20) for kind in KINDS},
    **{f"{kind}, 80 steps": partial(by_length, kind, 80) for kind in KINDS},
    **{
        f"{kind}, gates set, {length} steps": partial(
            by_length, f"{kind}, gates set", length
        )
        for kind, length in product(KINDS[1:], (80, 160))
    },
    "fading": fading,
    "gradient_over_padding": gradient_over_padding,
    "forgotten_mask": forgotten_mask,
    **{
        f"padding, {cell}, {'masked' if masked else 'no mask'}, {steps}": partial(
            padding, cell, masked, steps
        )
        for masked, cell, steps in product(
            (False, True), ("simple_rnn", "lstm", "gru"), (0, 25, 100, 400)
        )
        if cell == "simple_rnn" or steps < 400
    },
    **{
        f"{experiment.__name__}, {kind}": partial(experiment, kind)
        for experiment, kind in product(
            (temporal_xor, structured_letters, word_beginnings, word_trees),
            ("simple_rnn", "gru"),
        )
    },
    "neighbours": neighbours,
    "marked_letters": marked_letters,
    "spam_filter": spam_filter,
    "gates": gates,
    "compared_messages": compared_messages,
    "spam_by_division": spam_by_division,
    "sms_spam": sms_spam,
    "shakespeare": shakespeare,
    "translator": translator,
    "melbourne": melbourne,
    "a day ahead, lstm": partial(days_ahead, "lstm", 1),
    "a day ahead, gru": partial(days_ahead, "gru", 1),
    "a day ahead, simple_rnn": partial(days_ahead, "simple_rnn", 1),
    "a week ahead, lstm": partial(days_ahead, "lstm", 7),
    "beijing": beijing,
    "spoken_digits": spoken_digits,
}


def run(name: str, seeds: Sequence[int]) -> None:
    """Run what is missing of an experiment, and append its values to claims.csv."""
    there = {row["seed"] for row in results() if row["experiment"] == name}
    missing = [seed for seed in seeds if str(seed) not in there]
    if not missing:
        return
    for seed, values in EXPERIMENTS[name](missing):
        new = not RESULTS.exists()
        with RESULTS.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(("experiment", "seed", "name", "value"))
            for key, value in values.items():
                writer.writerow((name, seed, key, f"{float(value):.4g}"))
        print(name, seed, flush=True)


def results() -> list[dict[str, str]]:
    """The rows of claims.csv: experiment, seed, name, value."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Claim:
    """What a notebook says of a training run, and where it asserts it.

    Attributes:
        says: the claim, in words.
        notebook: name of the file, without `.ipynb`.
        experiment: a key of `EXPERIMENTS`.
        value: a name in claims.csv, or two with " - " between: their difference.
        above: the value is larger; or
        below: the value is smaller.
        mean_of: how many seeds the claim is a mean of; 1 for a claim about each.
        assertion: the line of the notebook; empty if the claim is no longer made.
        now: what the notebook says instead, where it asserts nothing.
    """

    says: str
    notebook: str
    experiment: str
    value: str
    above: float = -np.inf
    below: float = np.inf
    mean_of: int = 1
    assertion: str = ""
    now: str = ""

    def found(self, values: ByName) -> np.ndarray:
        """What was measured, a number a seed; empty if nothing was."""
        first, *second = (
            values.get((self.experiment, name), np.array([]))
            for name in self.value.split(" - ")
        )
        return first - second[0] if second else first

    def extremes(self, values: ByName) -> tuple[float, float]:
        """The least and the largest value, or mean of so many seeds."""
        order = np.sort(self.found(values))
        return order[: self.mean_of].mean(), order[-self.mean_of :].mean()

    def holds(self, values: ByName) -> bool:
        """Whether no seed, or no group of so many seeds, is beyond the bounds."""
        low, high = self.extremes(values)
        return self.above < low and high < self.below

    def row(self, values: ByName) -> list[str]:
        """The claim's line of claims.md."""
        found = self.found(values)
        held = (found > self.above) & (found < self.below)
        low, high = self.extremes(values)
        worst = low if low - self.above < self.below - high else high
        bounds = [f"> {self.above:g}"] if np.isfinite(self.above) else []
        bounds += [f"< {self.below:g}"] if np.isfinite(self.below) else []
        group = f" (mean of {self.mean_of})" if self.mean_of > 1 else ""
        place = f"{self.notebook[:2]}, {self.cell()}" if self.assertion else "-"
        return [
            self.says,
            f"{' and '.join(bounds)}{group}",
            place,
            f"{held.sum()} of {len(held)}",
            f"{worst:.3g}",
            f"`{self.assertion}`" if self.assertion else self.now,
        ]

    def cell(self) -> int:
        """The number of the code cell that makes the assertion.

        Raises:
            LookupError: if no cell makes it, or several.
        """
        found = [
            number
            for number, source in enumerate(code_of(self.notebook), 1)
            if self.assertion in map(str.strip, source.splitlines())
        ]
        if len(found) != 1:
            raise LookupError(f"{self.notebook}: {self.assertion!r} in cells {found}")
        return found[0]


def claims() -> list[Claim]:
    """All claims of claims.toml."""
    listed = tomllib.loads((HERE / "claims.toml").read_text(encoding="utf-8"))
    return [Claim(**claim) for claim in listed["claim"]]


def values_by_name() -> ByName:
    """The values of claims.csv."""
    found = defaultdict(list)
    for row in results():
        found[row["experiment"], row["name"]].append(float(row["value"]))
    return {key: np.array(of_seeds) for key, of_seeds in found.items()}


def table_of_claims() -> str:
    """claims.md: a row a claim."""
    values = values_by_name()
    head = ["claim", "bound", "notebook, cell", "held in", "worst", "asserted now"]
    lines = [head, ["---"] * len(head)]
    lines += [claim.row(values) for claim in claims() if claim.found(values).size]
    escaped = [[text.replace("|", r"\|") for text in line] for line in lines]
    table = "\n".join("| " + " | ".join(line) + " |" for line in escaped)
    return f"{INTRODUCTION}\n{table}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(EXPERIMENTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    os.environ.setdefault("MPLBACKEND", "Agg")
    for threads in ("OMP_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP"):
        os.environ.setdefault(f"{threads}_THREADS", "1")
    for name in options.only:
        run(name, range(FIRST_SEED, FIRST_SEED + options.seeds))
    (HERE / "claims.md").write_text(table_of_claims(), encoding="utf-8")


if __name__ == "__main__":
    main()
