"""Saved classifiers answer without TensorFlow as they do with it, and nothing else."""

import io
import json
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, product
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import threadpoolctl

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.exported import ExportedClassifier, NotCoveredError
from rnn_keras.exported.archive import CONFIG, RULES, WEIGHTS
from rnn_keras.layers.ngram_logits import LinearPath
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.utils.choices import CELL_NAMES, POOLINGS
from rnn_keras.utils.errors import InputError

FILES = Path(__file__).parent.parent / "files"
TEXTS = [
    "I love it so, so much",
    "So good: so fine",
    "I hate it",
    "so bad and so poor",
    "ΟΔΟΣ ΑΣ, 我有一个 iPhone",
]
LABELS = ["good", "good", "bad", "bad", "?"]
LENGTH = 12
NEW = [
    *TEXTS,
    "",
    " \n\t",
    "so",
    "so so so so",
    "zzz",
    "fine " * (LENGTH - 1),
    "fine " * LENGTH,
    "good, bad, " * LENGTH,  # cut after LENGTH tokens
    "ΟΔΟΣ ΑΣ. ΣΑΣ Σ İI\u0307 e\u0301 \ud800 a\0b \x85\u2028\u3000c\u00a0d\ufeff",
    "我有iPhone 13，カメラー。한국어 हिन्दी 😀\u200d👩 don't £5.00",
]


def make_classifier(unit="word", max_ngram=2, **settings):
    """A classifier with weights that make a difference, but without training."""
    keras.utils.set_random_seed(0)
    classifier = TextClassifier.from_texts(
        TEXTS,
        LABELS,
        **{"unit": unit, "units": 5, "embedding_dim": 3, "max_length": LENGTH}
        | settings,
    )
    random = np.random.default_rng(0)
    network = classifier.network
    network.set_weights([random.normal(0, 0.8, w.shape) for w in network.get_weights()])
    if max_ngram:
        ids = classifier.preprocessor.encode(TEXTS).ids
        labels = np.array([classifier.class_names.index(name) for name in LABELS])
        path = LinearPath.from_texts(ids, labels, 3, max_ngram=max_ngram, name="linear")
        path.scales.assign([0.9, 0.6])
        classifier._set_linear(path)
    return classifier


# Each cell, number of layers, direction and pooling; the tokens and n-grams by turns.
NETWORKS = [
    {
        "cell": cell,
        "num_layers": num_layers,
        "bidirectional": bidirectional,
        "pooling": pooling,
        "unit": unit,
        "max_ngram": max_ngram,
    }
    for (cell, num_layers, bidirectional, pooling), (unit, max_ngram) in zip(
        product(CELL_NAMES, (1, 2), (False, True), POOLINGS),
        cycle([("word", 2), ("character", 3), ("word", None)]),
        strict=False,
    )
]
SOME_NETWORKS = [
    {"cell": "gru", "max_ngram": 2},
    {"cell": "lstm", "num_layers": 2, "pooling": "last", "max_ngram": None},
    {"cell": "simple_rnn", "unit": "character", "bidirectional": False, "max_ngram": 3},
]


@pytest.mark.parametrize(
    "settings",
    [
        *SOME_NETWORKS,
        *(pytest.param(n, marks=pytest.mark.exhaustive) for n in NETWORKS),
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_answers_are_those_of_keras_alone_and_in_any_company(settings, tmp_path):
    classifier = make_classifier(**settings)
    classifier.save(tmp_path / "model.keras")
    saved = ExportedClassifier(tmp_path)  # as the folder of a run
    assert saved.format == "keras"
    assert saved.class_names == classifier.class_names
    expected = classifier.predict_proba(NEW)
    assert np.ptp(expected, axis=0).max() > 0.05  # the texts are told apart
    for batch_size in (None, 1, 2, 7):
        found = saved.predict_proba(NEW, batch_size)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)
    ids = saved.vectorizer.encode(NEW)
    np.testing.assert_array_equal(ids, classifier.preprocessor.encode(NEW).ids)
    wider = np.pad(ids, ((0, 0), (0, 5)))
    np.testing.assert_allclose(saved.run(wider), expected, atol=1e-5)


@pytest.fixture(scope="module")
def classifier():
    return make_classifier()


@pytest.fixture(scope="module")
def path(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    classifier.save(path)
    return path


@pytest.fixture(scope="module")
def members(path):
    """The members of a saved classifier: content by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_labels_scores_and_single_texts_are_those_of_keras(classifier, path):
    saved = ExportedClassifier(str(path))
    assert saved.labels_of(NEW) == classifier.labels_of(NEW)
    assert saved.predict("so fine").label == classifier.predict("so fine").label
    assert saved.predict([]) == []
    assert saved.evaluate(TEXTS, LABELS) == classifier.evaluate(TEXTS, LABELS)
    chunks = [(TEXTS[i : i + 2], LABELS[i : i + 2]) for i in (0, 2, 4)]
    assert saved.evaluate_chunks(chunks) == saved.evaluate(TEXTS, LABELS)
    for each in (saved, classifier):
        with pytest.raises(InputError, match="label 'ugly' is none of the class"):
            each.evaluate(["a"], ["ugly"])
        with pytest.raises(InputError, match="1 texts, but 2 labels"):
            each.evaluate(["a"], ["good", "bad"])


def test_many_texts_are_answered_by_several_threads_as_few_are(path, monkeypatch):
    """And the table of the vocabulary, which many texts are worth, changes nothing."""
    saved = ExportedClassifier(path)
    expected = np.concatenate([saved.predict_proba([text]) for text in NEW])
    order = np.random.default_rng(0).integers(0, len(NEW), 700)
    many = [NEW[i] for i in order]
    np.testing.assert_allclose(saved.predict_proba(many), expected[order], atol=1e-6)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)  # it is not installed
    np.testing.assert_allclose(saved.predict_proba(many), expected[order], atol=1e-6)


def test_the_threads_of_numpy_are_as_before(path):
    def numbers():
        return [info["num_threads"] for info in threadpoolctl.threadpool_info()]

    before = numbers()
    ExportedClassifier(path).predict_proba(NEW * 20)
    assert numbers() == before


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[1, -1]], "ids have to be from 0 to"),
        ([[1, 10**6]], "ids have to be from 0 to"),
        ([[1, 0, 1]], "0 is padding, which has to stand behind all other ids"),
        ([1, 2], r"expected \(batch, timesteps\)"),
    ],
)
def test_ids_that_no_text_has_are_refused(ids, message, path):
    with pytest.raises(InputError, match=message):
        ExportedClassifier(path).run(ids)


# Without TensorFlow


def in_new_process(code, *arguments):
    shown = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_the_class_needs_numpy_and_h5py_alone(classifier, path):
    code = (
        "import json, sys\n"
        "from rnn_keras.exported import ExportedClassifier\n"
        "print(json.dumps(ExportedClassifier(sys.argv[1]).predict('so good')))\n"
        "slow = {'tensorflow', 'keras', 'scipy', 'pandas', 'sklearn', 'matplotlib'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    found = json.loads(in_new_process(code, path))
    expected = classifier.predict("so good")
    assert found[:2] == list(expected[:2])
    assert found[3] == pytest.approx(expected.probabilities, abs=1e-5)


def test_the_commands_do_not_import_tensorflow(path, tmp_path):
    table = tmp_path / "table.csv"
    rows = zip(LABELS, TEXTS, strict=True)
    lines = "".join(f'{label},"{text}"\n' for label, text in rows)
    table.write_text(f"label,text\n{lines}", encoding="utf-8")
    code = (
        "import sys\n"
        "from rnn_keras.cli.app import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "slow = {'tensorflow', 'keras', 'scipy', 'sklearn', 'matplotlib'}\n"
        "slow |= {'pandas', 'rich'} if sys.argv[1] == 'predict' else set()\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    assert in_new_process(code, "predict", path, "so good").startswith("good\t")
    shown = json.loads(in_new_process(code, "evaluate", path, table, "--json"))
    assert shown["n"] == len(TEXTS)
    assert "accuracy" in in_new_process(code, "evaluate", path, table)


def test_a_process_that_is_forked_later_answers(path):
    """Gunicorn's workers are; with TensorFlow they wait forever."""
    code = (
        "import os, sys\n"
        "from rnn_keras.exported import ExportedClassifier\n"
        "classifier = ExportedClassifier(sys.argv[1])\n"
        "texts = ['so good', 'so bad', ''] * 300\n"
        "expected = classifier.predict(texts)\n"
        "if (child := os.fork()) == 0:\n"
        "    os._exit(classifier.predict(texts) != expected)\n"
        "print(os.waitpid(child, 0)[1])"
    )
    assert in_new_process(code, path) == "0\n"


def test_many_threads_get_their_own_answers(path):
    saved = ExportedClassifier(path)
    expected = saved.predict_proba(NEW)
    rows = list(range(len(NEW))) * 20

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: saved.predict_proba([NEW[i]])[0], rows))
    np.testing.assert_allclose(found, expected[rows], atol=1e-6)


# Files


def test_a_missing_file_or_package_is_named(path, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="none: no such file; expected a saved or an"):
        ExportedClassifier(tmp_path / "none")
    with pytest.raises(InputError, match=r"model\.keras: no such file; expected"):
        ExportedClassifier(tmp_path)
    for module in ("rnn_keras.exported.saved", "rnn_keras.exported.archive"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "h5py", None)  # it is not installed
    with pytest.raises(InputError, match=r"model\.keras: needs h5py: pip install h5py"):
        ExportedClassifier(path)


@pytest.mark.parametrize("name", ["word_gru_ngrams", "character_lstm"])
def test_an_older_file_is_left_to_keras_or_gets_rules(name, tmp_path):
    answers = json.loads((FILES / "answers.json").read_text(encoding="utf-8"))[name]
    with pytest.raises(NotCoveredError, match="it holds no tokenizer's rules"):
        ExportedClassifier(FILES / f"{name}.keras")
    TextClassifier.load(FILES / f"{name}.keras").save(tmp_path / "new.keras")
    found = ExportedClassifier(tmp_path / "new.keras").predict_proba(answers["texts"])
    np.testing.assert_allclose(found, answers["probabilities"], atol=1e-5)


def test_a_vectorizer_of_another_class_has_no_rules(classifier, tmp_path):
    class Reversed(TextVectorizer):
        """Its tokens could be any."""

    other = Reversed(vocabulary=["a"])
    network = keras.models.clone_model(classifier.network)
    TextClassifier(network, other, LABELS[2:]).save(tmp_path / "model.keras")
    assert RULES not in zipfile.ZipFile(tmp_path / "model.keras").namelist()


@pytest.mark.exhaustive  # starts a second process with TensorFlow
def test_in_a_locale_with_its_own_lower_case_there_are_no_rules(tmp_path):
    code = (
        "import sys\n"
        "from rnn_keras import TextClassifier\n"
        "texts = labels = ['a', 'b']\n"
        "settings = {'unit': 'word', 'units': 2}\n"
        "TextClassifier.from_texts(texts, labels, **settings).save(sys.argv[1])"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"],
        check=True,
        env={**os.environ, "LC_ALL": "tr_TR.UTF-8"},
    )
    with pytest.raises(NotCoveredError):
        ExportedClassifier(tmp_path / "model.keras")


def with_rules(members, **changes):
    rules = json.loads(members[RULES]) | changes
    return {**members, RULES: json.dumps(rules)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "its assets/tokenizer.json is not JSON"),
        (b"\xff", "its assets/tokenizer.json is not JSON"),
        (b"[" * 10**5, "its assets/tokenizer.json is not JSON"),
        (b"[]", "is damaged .tokenizer: expected an object"),
        ({"unit": "letter"}, "is damaged .unit: expected word or character"),
        ({"unit": "character"}, "is damaged .unit: expected word"),
        ({"lowercase": False}, "is damaged .lowercase: expected True"),
        ({"unknown_id": 10**6}, "is damaged .unknown_id: expected a position"),
        ({"lower": [0, 10**12, 1, 0]}, "is damaged .lower: expected runs"),
        ({"alone": [9, 3]}, "is damaged .alone: expected ranges of code points"),
    ],
)
def test_damaged_rules_are_refused(content, message, members, tmp_path):
    if isinstance(content, dict):
        changed = with_rules(members, **content)
    else:
        changed = {**members, RULES: content}
    with pytest.raises(InputError, match=message) as caught:
        ExportedClassifier(pack(tmp_path / "model.keras", changed))
    assert not isinstance(caught.value, NotCoveredError)
    assert "\n" not in str(caught.value)


def layer(config, name):
    layers = config["config"]["network"]["config"]["layers"]
    return next(x for x in layers if x["name"] == name)


def test_forged_rules_make_other_tokens_and_no_error(members, tmp_path):
    changed = with_rules(members, special={"o": "\ud800"}, lower=[97, 97, 1, 0xD7A0])
    saved = ExportedClassifier(pack(tmp_path / "model.keras", changed))
    assert saved.vectorizer.tokenize(["a soS"]) == [["\ud801", "s", "\ud800", "S"]]
    assert len(saved.predict(NEW)) == len(NEW)


def change_layer(name, **settings):
    return lambda config: layer(config, name)["config"].update(settings)


def change_directions(**settings):
    def change(config):
        both = layer(config, "bidirectional_1")["config"]
        for side in ("layer", "backward_layer"):
            both[side]["config"].update(settings)

    return change


def change_part(part, **settings):
    return lambda config: config["config"][part]["config"].update(settings)


def without_mask(config):
    del layer(config, "pooling")["inbound_nodes"][0]["kwargs"]["mask"]


def another_source(config):
    history = layer(config, "pooling")["inbound_nodes"][0]["args"][0]["config"]
    history["keras_history"] = ["embedding", 0, 0]


def another_output(config):
    config["config"]["network"]["config"]["output_layers"] = ["pooling", 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_layer("embedding", mask_zero=False), "Embedding: mask_zero=False"),
        (change_layer("embedding", dtype="mixed_float16"), "dtype mixed_float16"),
        (change_layer("embedding", input_dim=3), "float32 .* at layers/functional"),
        (change_layer("logits", activation="softmax"), "activation=softmax"),
        (change_layer("logits", units=4), "at layers/functional/layers/dense"),
        (change_layer("pooling", mode="last"), "last"),
        (change_layer("bidirectional_1", merge_mode="sum"), "merge_mode=sum"),
        (change_directions(activation="relu"), "activation=relu"),
        (change_directions(reset_after=False), "reset_after=False"),
        (change_directions(return_sequences=False), "."),
        (change_directions(units=4), "."),
        (change_directions(implementation=1), "GRU with .*implementation"),
        (change_part("linear", max_ngram="2"), "max_ngram=2"),
        (change_part("linear", rows=9), "at layers/linear_path"),
        (change_part("preprocessor", vocabulary=["a", "a"]), "equal tokens"),
        (change_part("preprocessor", vocabulary=["[UNK]"]), "special tokens"),
        (change_part("preprocessor", vocabulary=["\ud800"]), "surrogates not allowed"),
        (change_part("preprocessor", max_length=-1), "max_length -1"),
        (change_part("preprocessor", max_tokens=4), "more than 4 tokens"),
        (change_part("preprocessor", ngrams=2), "TextVectorizer with"),
        (
            lambda config: config["config"].update(class_names=["a", "b"]),
            "other class",
        ),
        (lambda config: config.update(class_name="Model"), "."),
        (lambda config: config["config"].pop("linear"), "a classifier of"),
        (without_mask, "mask"),
        (another_source, "another order of layers"),
        (another_output, "other inputs or outputs"),
    ],
)
def test_what_is_not_known_exactly_is_left_to_keras(change, message, members, tmp_path):
    config = json.loads(members[CONFIG])
    change(config)
    changed = {**members, CONFIG: json.dumps(config)}
    with pytest.raises(InputError, match=message) as caught:
        ExportedClassifier(pack(tmp_path / "model.keras", changed))
    assert "\n" not in str(caught.value)


LINEAR = "layers/linear_path/vars"
DENSE = "layers/functional/layers/dense/vars"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{LINEAR}/0", lambda keys: keys[::-1].copy()),
        (f"{LINEAR}/0", lambda keys: keys.astype(np.int64)),
        (f"{DENSE}/1", lambda bias: bias[:1]),
        (f"{DENSE}/1", lambda bias: bias.astype(np.float16)),
        (f"{DENSE}/1", lambda bias: None),
        (f"{DENSE}/2", lambda none: np.zeros(3, np.float32)),
    ],
)
def test_other_arrays_are_left_to_keras(name, value, members, tmp_path):
    content = io.BytesIO(members[WEIGHTS])
    with h5py.File(content, "r+") as file:
        array = file[name][()] if name in file else None
        if array is not None:
            del file[name]
        if (new := value(array)) is not None:
            file[name] = new
    changed = {**members, WEIGHTS: content.getvalue()}
    with pytest.raises(NotCoveredError):
        ExportedClassifier(pack(tmp_path / "model.keras", changed))


@pytest.mark.parametrize("number", [np.nan, np.inf, 3e38])
def test_numbers_that_are_none_give_no_answers(number, members, tmp_path):
    content = io.BytesIO(members[WEIGHTS])
    with h5py.File(content, "r+") as file:
        layers = file["layers/functional/layers"]
        layers["embedding/vars/0"][...] = number
        layers["bidirectional/forward_layer/cell/vars/2"][...] = number
        file[f"{LINEAR}/1"][...] = number
    changed = {**members, WEIGHTS: content.getvalue()}
    saved = ExportedClassifier(pack(tmp_path / "model.keras", changed))
    with pytest.raises(InputError, match="not finite: its weights have diverged"):
        saved.predict(NEW)


def test_a_network_of_other_layers_is_left_to_keras(tmp_path):
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, 2)(ids)
    network = keras.Model(
        ids, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x))
    )
    vectorizer = TextVectorizer()
    vectorizer.adapt(TEXTS[:1])
    TextClassifier(network, vectorizer, ["a", "b"]).save(tmp_path / "model.keras")
    with pytest.raises(NotCoveredError, match=r"\(a GlobalAveragePooling1D\)"):
        ExportedClassifier(tmp_path / "model.keras")
