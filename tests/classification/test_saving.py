"""The file of a classifier is only data: every attack is refused and has no effect."""

import builtins
import importlib
import io
import itertools
import json
import stat
import warnings
import zipfile
from contextlib import suppress

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.common import global_state
from typer.testing import CliRunner

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.cli.app import app
from rnn_keras.exported import ExportedClassifier, NotCoveredError
from rnn_keras.exported.allowlist import CORE_OPERATIONS, LAYERS, OWN_NAMES
from rnn_keras.exported.archive import LARGEST_CONFIG, RULES
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.builders import build_classifier
from rnn_keras.utils.errors import InputError

TEXTS = ["so good", "good good", "so bad", "bad bad"]
LABELS = ["good", "good", "bad", "bad"]
WEIGHTS = "model.weights.h5"


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Return the members of a saved classifier: content by name."""
    path = tmp_path_factory.mktemp("honest") / "model.keras"
    keras.utils.set_random_seed(0)
    TextClassifier.from_texts(TEXTS, LABELS, units=4, embedding_dim=4).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def with_config(honest, change):
    """Return the members, with a configuration that `change` has changed in place."""
    config = json.loads(honest["config.json"])
    change(config)
    return {**honest, "config.json": json.dumps(config)}


def with_weights(honest, change):
    """Return the members, with a file of weights that `change` has changed."""
    content = io.BytesIO(honest[WEIGHTS])
    with h5py.File(content, "r+") as file:
        change(file)
    return {**honest, WEIGHTS: content.getvalue()}


def refused(path, message):
    """Assert that nobody loads a file, with Keras or without."""
    with pytest.raises(InputError, match=message) as caught:
        TextClassifier.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError) as without_keras:
        ExportedClassifier(path)
    # What is no fault of the archive or of its names is left to Keras.
    if not isinstance(without_keras.value, NotCoveredError):
        assert str(without_keras.value) == str(caught.value)
    assert "\n" not in str(without_keras.value)


def layers(config):
    return config["config"]["network"]["config"]["layers"]


def named(module, class_name, config, **more):
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": None,
        **more,
    }


def lambda_of(canary):
    """Return a layer of Python code, as Keras packs it; it makes the file `canary`."""
    code = keras.layers.Lambda(eval(f"lambda x: [open({str(canary)!r}, 'w'), x][1]"))
    return named("keras.layers", "Lambda", code.get_config())


def pooled(node):
    """Return a change that puts `node` in place of the pooling layer."""

    def change(config):
        old = next(x for x in layers(config) if x["name"] == "pooling")
        node.update(name="pooling", inbound_nodes=old["inbound_nodes"])
        node["config"] = {"name": "pooling", **node["config"]}
        layers(config)[layers(config).index(old)] = node

    return change


def dense(key, value):
    def change(config):
        layers(config)[-1]["config"][key] = value

    return change


def function(module, name):
    return named(module, "function", name, registered_name="function")


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture(params=["safe", "unsafe"])
def mode(request):
    """Run with Keras as it is, and after someone has turned off its safe mode."""
    if request.param == "unsafe":
        keras.config.enable_unsafe_deserialization()
    yield request.param
    global_state.set_global_attribute("safe_mode_saving", None)


# Changes of the configuration. Each is given the path of a file that must not be made,
# and the path of one that must not be read.
NAMED = {
    "Lambda": lambda canary, secret: pooled(lambda_of(canary)),
    "Lambda without a module": lambda canary, secret: pooled(
        {"class_name": "Lambda", "config": lambda_of(canary)["config"]}
    ),
    "__lambda__": lambda canary, secret: dense(
        "activation", lambda_of(canary)["config"]["function"]
    ),
    "__lambda__ under a registered name": lambda canary, secret: dense(
        "activation",
        lambda_of(canary)["config"]["function"]
        | {"registered_name": "rnn_keras>Dropout"},
    ),
    "__lambda__ under a registered name and of a module": lambda canary, secret: dense(
        "activation",
        lambda_of(canary)["config"]["function"]
        | {"module": "rnn_keras.layers", "registered_name": "rnn_keras>Dropout"},
    ),
    "Lambda under a registered name": lambda canary, secret: pooled(
        lambda_of(canary) | {"registered_name": "rnn_keras>Dropout"}
    ),
    "Lambda under a registered name without a module": lambda canary, secret: pooled(
        {
            "class_name": "Lambda",
            "config": lambda_of(canary)["config"],
            "registered_name": "rnn_keras>Dropout",
        }
    ),
    "a registered name without a module": lambda canary, secret: pooled(
        {
            "class_name": "Dropout",
            "config": {"rate": 0.5},
            "registered_name": "rnn_keras>Dropout",
        }
    ),
    "typespec under a registered name": lambda canary, secret: dense(
        "activation",
        {
            "class_name": "__typespec__",
            "spec_name": "TensorSpec",
            "module": "tensorflow",
            "registered_name": "rnn_keras>Dropout",
            "config": [],
        },
    ),
    "an operation that makes arrays": lambda canary, secret: pooled(
        named("keras.src.ops.numpy", "Full", {})
    ),
    "a metric of the square": lambda canary, secret: dense(
        "activation", named("keras.metrics", "MeanIoU", {"num_classes": 100})
    ),
    "TFSMLayer": lambda canary, secret: pooled(
        named("keras.layers", "TFSMLayer", {"filepath": str(secret)})
    ),
    "TorchModuleWrapper": lambda canary, secret: pooled(
        named("keras.layers", "TorchModuleWrapper", {"module": "AAAA"})
    ),
    "JaxLayer": lambda canary, secret: pooled(
        named("keras.layers", "JaxLayer", {"call_fn": function("builtins", "eval")})
    ),
    "StringLookup": lambda canary, secret: pooled(
        named("keras.layers", "StringLookup", {"vocabulary": str(secret)})
    ),
    "TextVectorization": lambda canary, secret: pooled(
        named("keras.layers", "TextVectorization", {"vocabulary": str(secret)})
    ),
    "typespec": lambda canary, secret: dense(
        "activation",
        {
            "class_name": "__typespec__",
            "spec_name": "TensorSpec",
            "module": "os",
            "registered_name": None,
            "config": [],
        },
    ),
    "builtins class": lambda canary, secret: pooled(named("builtins", "open", {})),
    "os.system": lambda canary, secret: dense("activation", function("os", "system")),
    "any module": lambda canary, secret: pooled(named("subprocess", "Popen", {})),
    "keras's own inner class": lambda canary, secret: pooled(
        named("keras.src.layers.core.lambda_layer", "Lambda", {})
    ),
    "no layer": lambda canary, secret: pooled(
        named("keras.utils", "get_file", {"origin": "file:///etc/passwd"})
    ),
    "a function that builds": lambda canary, secret: dense(
        "activation", function("builtins", "deserialize")
    ),
    "an operation on functions": lambda canary, secret: pooled(
        named("keras.src.ops.core", "Map", {"f": "relu"})
    ),
    "another's registered name": lambda canary, secret: pooled(
        named("keras.layers", "Dense", {"units": 2}, registered_name="evil>Layer")
    ),
    "strings as numbers": lambda canary, secret: dense(
        "bias_initializer",
        {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "object"}},
    ),
    "a name that is none": lambda canary, secret: pooled(
        named("keras.layers", ["Dense"], {})
    ),
}


def test_what_may_not_be_named_is_not_built(mode, honest, canary, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret\n")
    for case, attack in NAMED.items():
        members = with_config(honest, attack(canary, secret))
        path = pack(tmp_path / f"{case}.keras", members)
        refused(
            path, r"refused, .* config.json names .*, which a classifier's file may"
        )
        assert not canary.exists(), case


def test_the_attack_is_one_and_the_argument_safe_mode_is_no_help(
    honest, canary, tmp_path
):
    """Keras alone runs the code of a `Lambda` in a process whose safe mode is off."""
    path = pack(tmp_path / "evil.keras", with_config(honest, pooled(lambda_of(canary))))
    with pytest.raises(ValueError, match="Lambda"):
        keras.saving.load_model(path, safe_mode=True)
    assert not canary.exists()
    keras.config.enable_unsafe_deserialization()
    try:
        with warnings.catch_warnings(action="ignore"), suppress(ValueError):
            keras.saving.load_model(path, safe_mode=True)
    finally:
        global_state.set_global_attribute("safe_mode_saving", None)
    assert canary.exists()


def test_a_vocabulary_is_not_read_from_a_file(mode, honest, tmp_path, monkeypatch):
    secret = tmp_path / "secret.txt"
    secret.write_text("password\n")

    def change(config):
        config["config"]["preprocessor"]["config"]["vocabulary"] = str(secret)

    path = pack(tmp_path / "evil.keras", with_config(honest, change))
    read = []
    real = builtins.open

    def watched(file, *args, **kwargs):
        read.append(str(file))
        return real(file, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", watched)
    refused(path, r"config.json has a vocabulary that is no list of tokens")
    assert str(secret) not in read


def extra(name, content=b"x", **info):
    def change(path, honest):
        pack(path, honest)
        member = zipfile.ZipInfo(name)
        for key, value in info.items():
            setattr(member, key, value)
        with (
            pytest.warns(UserWarning, match="Duplicate name")
            if name in honest
            else memoryview(b""),
            zipfile.ZipFile(path, "a") as archive,
        ):
            archive.writestr(member, content)

    return change


def packed(name, content, method=zipfile.ZIP_DEFLATED):
    def change(path, honest):
        with zipfile.ZipFile(path, "w") as archive:
            for other in honest:
                if other != name:
                    archive.writestr(other, honest[other])
            archive.writestr(name, content, compress_type=method)

    return change


def patched(name, offset, value):
    """Return a change of bytes of a member's entry in the directory of the archive."""

    def change(path, honest):
        pack(path, honest)
        content = bytearray(path.read_bytes())
        entry = content.index(b"PK\x01\x02")
        while content[entry + 46 :][: len(name)] != name.encode():
            entry = content.index(b"PK\x01\x02", entry + 1)
        content[entry + offset : entry + offset + len(value)] = value
        path.write_bytes(content)

    return change


ASSET = "assets/layers/text_vectorizer/_lookup_layer/vocabulary.txt"
LINK = {"external_attr": (stat.S_IFLNK | 0o777) << 16}
ARCHIVES = {
    "another member": (extra("run.py"), "holds 'run.py', which no classifier's"),
    "weights that are pickled": (extra("model.weights.npz"), "which no classifier's"),
    "twice the same": (extra("config.json", b"{}"), "two members called 'config.json'"),
    "above its folder": (extra("../canary"), "holds '../canary', which no"),
    "above, in the assets": (extra("assets/../../vocabulary.txt"), "which no"),
    "absolute": (extra("/tmp/vocabulary.txt"), "which no classifier's"),
    "a drive": (extra("C:/assets/vocabulary.txt"), "which no classifier's"),
    "backslashes": (extra("assets\\..\\vocabulary.txt"), "which no classifier's"),
    "a link": (extra("assets/a/vocabulary.txt", b"/etc", **LINK), "is no plain file"),
    "a folder": (extra("assets/"), "holds 'assets/', which no classifier's"),
    "six": (extra("assets/a/vocabulary.txt"), "6 members, where five are the most"),
    "a configuration that is a bomb": (
        packed("config.json", b"[" + b" " * 2**25 + b"]"),
        "'config.json' unpacks to 33,554,434 bytes of .*far more",
    ),
    "an asset that is a bomb": (
        packed(ASSET, b"a\n" * 2**23),
        "vocabulary.txt' unpacks to 16,777,216 bytes",
    ),
    "rules that are a bomb": (
        packed(RULES, b" " * 2**24),
        "tokenizer.json' unpacks to 16,777,216 bytes",
    ),
    "weights that are a bomb": (
        packed(WEIGHTS, bytes(2**26)),
        "'model.weights.h5' unpacks to 67,108,864 bytes",
    ),
    "a large note": (packed("metadata.json", b"{" * 2**17), "far more"),
    "packed in another way": (
        packed("config.json", b"{}", zipfile.ZIP_BZIP2),
        "packed in an unusual way",
    ),
    "encrypted": (patched("config.json", 8, b"\x01"), "is encrypted"),
    "a size that is not so": (
        patched("config.json", 20, b"\xff\xff\xff\x00\xff\xff\xff\x00"),
        "damaged",
    ),
    "no weights": (
        lambda path, honest: pack(path, {**honest, WEIGHTS: b""}),
        "model.weights.h5 is damaged",
    ),
    "not JSON": (packed("config.json", b"{"), "config.json is not JSON"),
    "nested deep": (packed("config.json", b"[" * 10**5), "is not JSON"),
    "nested": (
        packed(
            "config.json",
            b'{"class_name": "__bytes__", "config": {"a":%s}}'
            % (b"[" * 200 + b"]" * 200),
        ),
        "nested more than 100 deep",
    ),
    "a number without an end": (packed("config.json", b"1" * 5000), "is not JSON"),
    "an array": (packed("config.json", b"[]"), "describes no model"),
    "no class": (packed("config.json", b"{}"), "describes no model"),
    "no zip at all": (lambda path, honest: path.write_bytes(b"x"), "not a .keras file"),
    "no name of text": (patched("config.json", 46, b"\xff"), "refused|damaged"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_of_anything_else_is_refused(case, honest, tmp_path):
    write, message = ARCHIVES[case]
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "evil.keras", honest)
    before = set(tmp_path.rglob("*"))
    refused(folder / "evil.keras", message)
    assert set(tmp_path.rglob("*")) == before


def test_sizes_are_bounded_also_without_compression(honest, tmp_path):
    config = b"[" + bytes(LARGEST_CONFIG)
    path = pack(tmp_path / "large.keras", {**honest, "config.json": config})
    refused(path, r"'config.json' unpacks to [\d,]+ bytes of [\d,]+, far more")


def outside(tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.zeros(3)
    return other


def external_link(file, tmp_path):
    file["vars/0"] = h5py.ExternalLink(str(outside(tmp_path)), "x")


def soft_link(file, tmp_path):
    file["vars/0"] = h5py.SoftLink("/layers")


def external_storage(file, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(24))
    file.create_dataset("vars/0", (3,), "f8", external=[(str(secret), 0, 24)])


def virtual(file, tmp_path):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(outside(tmp_path)), "x", (3,))
    file.create_virtual_dataset("vars/0", layout)


def strings(file, tmp_path):
    file["vars/0"] = ["gASVAA=="]


def references(file, tmp_path):
    file.create_dataset("vars/0", (1,), h5py.ref_dtype)


def opaque(file, tmp_path):
    file["vars/0"] = np.zeros(3, "V2")


def filtered(file, tmp_path):
    file.create_dataset("vars/0", (3,), "f4", compression="gzip")


def without_end(file, tmp_path):
    file.create_dataset("vars/0", (2**40,), "f4")


def tangled(file, tmp_path):
    file["layers/again"] = file["layers"]


def types(file, tmp_path):
    file["vars/0"] = np.dtype("f4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external_link, "has a ExternalLink at '0'"),
        (soft_link, "has a SoftLink at '0'"),
        (external_storage, "numbers of another file at '/vars/0'"),
        (virtual, "numbers of another file at '/vars/0'"),
        (strings, "has object at '/vars/0', not numbers"),
        (references, "has object at '/vars/0', not numbers"),
        (opaque, "at '/vars/0', not numbers"),
        (filtered, "packed numbers at '/vars/0'"),
        (without_end, "declares more numbers than it holds"),
        (tangled, "tangled at '/layers"),
        (types, "no numbers at '/vars/0'"),
    ],
)
def test_weights_are_plain_numbers_in_the_file(change, message, honest, tmp_path):
    members = with_weights(honest, lambda file: change(file, tmp_path))
    refused(pack(tmp_path / "evil.keras", members), message)


def set_part(part, value):
    def change(config):
        config["config"][part] = value

    return change


DENSE = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"units": 2},
    "registered_name": None,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dense("units", 10**9), "a layer of units=1000000000, and weights for none"),
        (
            lambda config: layers(config)[1]["config"].update(
                input_dim=10**6, output_dim=8000
            ),
            "an embedding of 1000000 x 8000, and no such weights",
        ),
        (pooled(named("keras.layers", "RepeatVector", {"n": 10**9})), "of n=1000000"),
        (set_part("preprocessor", DENSE), "has as preprocessor no TextVectorizer"),
        (set_part("preprocessor", None), "has as preprocessor no TextVectorizer"),
        (set_part("linear", DENSE), "has as linear no LinearPath"),
        (set_part("network", None), "has no network"),
        (set_part("network", "relu"), "has no network"),
        (set_part("network", DENSE), "cannot be loaded"),
        (set_part("class_names", "ab"), "has no list of class names"),
        (set_part("class_names", [1, 2]), "has no list of class names"),
        (set_part("class_names", ["a", "b", "c"]), "2 logits for 3 class names"),
        (pooled(named("keras.layers", "Flatten", {})), "cannot be loaded"),
        (lambda config: config.update(config=None), "describes no classifier"),
        (
            lambda config: config["config"]["preprocessor"]["config"].update(
                vocabulary=["a", 1]
            ),
            "vocabulary that is no list of tokens",
        ),
    ],
)
def test_a_file_describes_a_classifier_that_it_holds(change, message, honest, tmp_path):
    refused(pack(tmp_path / "odd.keras", with_config(honest, change)), message)


def layer(name, **config):
    return pooled(named("keras.layers", name, config))


def operation(name, **config):
    return pooled(named("keras.src.ops.numpy", name, config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (layer("Conv1D", filters=2, kernel_size=[2 * 10**7]), "kernel of .2000000"),
        (layer("Conv1D", kernel_size=[1e12]), "kernel of .1000000000000.0"),
        (layer("MaxPooling1D", pool_size=[10**9]), "pool_size=.1000000000"),
        (layer("Conv1D", filters=9, kernel_size=[16000]), r"kernel of .16000. and .9."),
        (layer("MultiHeadAttention", num_heads=1, key_dim=1, value_dim=10**9), "value"),
        (layer("AdaptiveAveragePooling1D", output_size=10**9), "output_size=1000000"),
        (layer("Dense", units=1e12), "units=1000000000000.0, and weights"),
        (layer("Dense", units=10**4), "units=10000, and weights for none so large"),
        (layer("Embedding", input_dim=1e6, output_dim=800), "1000000.0 x 800, and"),
        (operation("Repeat", repeats=10**9), "repeats=1000000000"),
        (operation("Tile", repeats=[1, [1, 10**9]]), "repeats=.1, .1, 1000000000"),
        (operation("BroadcastTo", shape=[10**4, 10**4]), "shape=.10000, 10000"),
        (operation("Pad", pad_width=[[0, 0], [0, 10**9]]), "pad_width="),
        (operation("Pad", pad_width=float("inf")), "pad_width=inf"),
        (layer("InputLayer", batch_shape=[10**9, 3]), "batch_shape="),
        (
            lambda config: layers(config)[-1].update(
                build_config={"input_shape": [None, 10**9]}
            ),
            "input_shape=.None, 1000000000",
        ),
    ],
)
def test_no_size_is_larger_than_the_weights_allow(change, message, honest, tmp_path):
    path = pack(tmp_path / "large.keras", with_config(honest, change))
    refused(path, f"refused, nothing of it is loaded: its config.json has a.*{message}")


@pytest.mark.parametrize("command", ["predict", "evaluate", "explain"])
def test_a_command_refuses_with_one_line(command, honest, canary, tmp_path):
    members = with_config(honest, pooled(lambda_of(canary)))
    path = pack(tmp_path / "model.keras", members)
    argument = "seed" if command == "evaluate" else "a text"
    for run in (path, tmp_path):
        result = CliRunner().invoke(app, [command, str(run), argument])
        assert result.exit_code == 2
        lines = result.stderr.splitlines()[command == "evaluate" :]
        assert lines == [
            f"rnn-keras: {path}: refused, nothing of it is loaded: its config.json "
            "names 'keras.layers.Lambda', which a classifier's file may not"
        ]
        assert result.stdout == ""
    assert not canary.exists()


@pytest.mark.parametrize("command", ["predict", "evaluate", "explain"])
def test_a_network_that_cannot_compute_gets_one_line(
    command, honest, tmp_path, monkeypatch
):
    def fail(*args, **kwargs):
        raise tf.errors.InvalidArgumentError(None, None, "slice index 3\nis out")

    # Without the tokenizer's rules, every command loads the file with Keras.
    without_rules = {name: honest[name] for name in honest if name != RULES}
    path = pack(tmp_path / "model.keras", without_rules)
    method = "evaluate_chunks" if command == "evaluate" else command
    monkeypatch.setattr(TextClassifier, method, fail)
    argument = "seed" if command == "evaluate" else "a text"
    result = CliRunner().invoke(app, [command, str(path), argument])
    assert result.exit_code == 2
    lines = result.stderr.splitlines()[command == "evaluate" :]
    assert lines == [
        f"rnn-keras: {path}: its network cannot answer (slice index 3 is out)"
    ]
    assert result.stdout == ""


def test_another_kind_of_file_is_not_tried(honest, tmp_path):
    """Keras would read a file with this name in an older format."""
    path = pack(tmp_path / "model.h5", honest)
    with pytest.raises(InputError, match=r"expected a file whose name ends with \.ker"):
        TextClassifier.load(path)


def stock(optimizer, loss):
    layers = keras.layers
    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(50, 4, mask_zero=True, embeddings_regularizer="l2")(ids)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.Dense(3, activation=keras.activations.gelu)(x)
    x = layers.RNN(layers.GRUCell(3), return_sequences=True)(x)
    x = layers.LayerNormalization()(x)
    x = layers.Conv1D(3, 2, padding="same", kernel_constraint="max_norm")(x + 0.5)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = keras.ops.relu(keras.ops.mean(x, axis=1))[:, :3]
    network = keras.Model(ids, layers.Dense(2)(layers.Dropout(0.1)(x)))
    network.compile(optimizer, loss, metrics=["accuracy", keras.metrics.F1Score()])
    return network


def sequential():
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Embedding(50, 4),
            layers.SpatialDropout1D(0.1),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2),
        ]
    )
    network.build((None, None))
    return network


def schedule():
    decay = keras.optimizers.schedules.CosineDecay(0.1, 100)
    return keras.optimizers.SGD(decay, momentum=0.9)


def large():
    layers = keras.layers
    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(30_000, 64)(ids)
    x = layers.SeparableConv1D(300, 64, padding="same")(layers.Dense(2)(x))
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(64, 9, padding="same")(x))
    x = layers.Masking(mask_value=-1e9)(layers.RepeatVector(3)(x))
    x = layers.GlobalAveragePooling1D()(layers.ReLU(max_value=1e6)(x))
    x = layers.Reshape((64, 32))(layers.Dense(2048)(x))
    network = keras.Model(ids, layers.Dense(2)(layers.Flatten()(x * 100_000 - 1e9)))
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10**6, 0.9)
    network.compile(keras.optimizers.Adam(decay, clipnorm=1e5))
    return network


@pytest.mark.parametrize(
    "network",
    [
        large,
        lambda: stock(schedule(), keras.losses.CategoricalCrossentropy()),
        pytest.param(sequential, marks=pytest.mark.exhaustive),
        pytest.param(
            lambda: stock("rmsprop", keras.losses.sparse_categorical_crossentropy),
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_networks_of_stock_layers_load(network, tmp_path):
    vectorizer = TextVectorizer()
    vectorizer.adapt(TEXTS)
    classifier = TextClassifier(network(), vectorizer, ["a", "b"])
    classifier.save(tmp_path / "model.keras")
    loaded = TextClassifier.load(tmp_path / "model.keras")
    assert type(loaded.network.optimizer) is type(classifier.network.optimizer)
    np.testing.assert_allclose(
        loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS), atol=1e-6
    )


def test_a_classifier_of_half_precision_loads(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        classifier = TextClassifier.from_texts(TEXTS, LABELS, units=4, embedding_dim=4)
        classifier.save(tmp_path / "model.keras")
        loaded = TextClassifier.load(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(
        loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS), atol=1e-3
    )


def test_what_the_process_has_registered_may_be_named(honest, tmp_path):
    @keras.saving.register_keras_serializable(package="mine")
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 2)(ids))
    vectorizer = TextVectorizer()
    vectorizer.adapt(TEXTS)
    TextClassifier(keras.Model(ids, Twice()(x)), vectorizer, ["a", "b"]).save(
        tmp_path / "model.keras"
    )
    try:
        TextClassifier.load(tmp_path / "model.keras")
    finally:
        del keras.saving.get_custom_objects()["mine>Twice"]
    refused(tmp_path / "model.keras", r"names '.*Twice', which a classifier's file")


def test_an_older_file_and_one_that_was_compressed_later_load(honest, tmp_path):
    def change(config):
        del config["config"]["linear"]

    pack(tmp_path / "old.keras", with_config(honest, change))
    TextClassifier.load(tmp_path / "old.keras")
    without = {name: honest[name] for name in honest if name != ASSET}
    assert len(without) == 4
    pack(tmp_path / "new.keras", without, compression=zipfile.ZIP_DEFLATED)
    TextClassifier.load(tmp_path / "new.keras")


def test_the_list_names_what_keras_has():
    """The list has no name that Keras does not have (any more)."""
    for name in LAYERS:
        assert issubclass(getattr(keras.layers, name), keras.layers.Layer), name
    for name in CORE_OPERATIONS:
        operation = getattr(importlib.import_module("keras.src.ops.core"), name)
        assert issubclass(operation, keras.Operation), name


def test_the_list_has_the_names_that_the_package_registers():
    registered = keras.saving.get_custom_objects()
    own = {
        alias: o.__name__ for alias, o in registered.items() if "rnn_keras>" in alias
    }
    # Other tests may have imported modules that a classifier does not need.
    assert {alias: OWN_NAMES.get(alias) for alias in own} == own


def test_no_layer_on_the_list_takes_code_or_files():
    suspicious = {"function", "vocabulary", "filepath", "call_fn", "module", "path"}
    for name in LAYERS:
        layer = getattr(keras.layers, name)
        chain = [c.__init__ for c in layer.__mro__ if "__init__" in vars(c)]
        arguments = set(
            itertools.chain(
                *(f.__code__.co_varnames for f in chain if hasattr(f, "__code__"))
            )
        )
        assert not suspicious & arguments, name


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_the_builders_name_nothing_else(cell, honest, tmp_path):
    network = build_classifier(9, 2, cell=cell, units=4, embedding_dim=4, num_layers=2)
    vectorizer = TextVectorizer("character")
    vectorizer.adapt(TEXTS)
    TextClassifier(network, vectorizer, ["a", "b"]).save(tmp_path / "model.keras")
    TextClassifier.load(tmp_path / "model.keras")
