"""Where exports are written: names that are free, and an exchange of all or nothing."""

import os
from pathlib import Path

import pytest

from rnn_keras.export.files import check_targets, staging_folder
from rnn_keras.utils.errors import InputError


@pytest.mark.parametrize(
    ("name", "format", "force", "message"),
    [
        ("m", "onnx", False, r"m: expected a name that ends in \.onnx$"),
        ("m.onnx", "litert", False, r"m\.onnx: expected a name that ends in \.tflite$"),
        ("m.onnx", "saved_model", False, "is a folder; expected a name without .onnx"),
        ("no/m.onnx", "onnx", False, "expected a name in a folder that exists"),
        ("taken.onnx", "onnx", False, "taken.onnx: exists, .* or give --force"),
        ("taken", "saved_model", True, "taken: exists, and is no older"),
        ("theirs.onnx", "onnx", True, "theirs.onnx: exists, and is no"),
        ("theirs", "saved_model", True, "theirs: exists, and is no older"),
        ("folder.onnx", "onnx", True, "folder.onnx: exists, and is no"),
        ("other.onnx", "onnx", True, "other.onnx.json: exists, and is no"),
        ("link.onnx", "onnx", True, "link.onnx: exists, and is no"),
    ],
)
def test_names_that_cannot_be_written_are_refused(
    name, format, force, message, tmp_path
):
    (tmp_path / "taken.onnx").write_text("")
    (tmp_path / "taken.onnx.json").write_text('{"model": "taken.onnx"}')
    (tmp_path / "theirs.onnx").write_text("of another program")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "saved_model.pb").write_text("of another program")
    (tmp_path / "taken").mkdir()
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "other.onnx.json").write_text('{"model": "other.tflite"}')
    (tmp_path / "link.onnx").symlink_to(tmp_path / "taken.onnx")
    with pytest.raises(InputError, match=message) as error:
        check_targets(tmp_path / name, format, force)
    assert "\n" not in str(error.value)


def test_an_older_export_may_be_replaced_if_that_is_asked_for(tmp_path):
    path, beside = tmp_path / "m.onnx", tmp_path / "m.onnx.json"
    assert check_targets(path, "onnx", force=False) == [path, beside]
    path.write_text("")
    beside.write_text('{"model": "m.onnx"}')
    assert check_targets(path, "onnx", force=True) == [path, beside]


def write_new(targets):
    with staging_folder(targets) as folder:
        for target in targets:
            (folder / target.name).write_text("new")


def test_all_targets_are_replaced_and_nothing_else_is_left(tmp_path):
    targets = [tmp_path / "m.onnx", tmp_path / "m.onnx.json"]
    targets[0].write_text("old")
    write_new(targets)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "m.onnx": "new",
        "m.onnx.json": "new",
    }


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "Input/output")])
@pytest.mark.parametrize("moves", range(4))
def test_an_interrupted_exchange_leaves_the_older_export(
    moves, error, tmp_path, monkeypatch
):
    """Ctrl-C, or a failing disk, comes after `moves` of the four moves."""
    targets = [tmp_path / "m.onnx", tmp_path / "m.onnx.json"]
    for target in targets:
        target.write_text("old")
    real, done = os.replace, []

    def replace(old, new):
        done.append(new)
        if len(done) == moves + 1:
            raise error
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises((KeyboardInterrupt, InputError)):
        write_new(targets)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "m.onnx": "old",
        "m.onnx.json": "old",
    }


def test_an_older_export_that_cannot_be_moved_back_is_kept_and_named(
    tmp_path, monkeypatch
):
    target = tmp_path / "m.onnx"
    target.write_text("old")
    real = os.replace

    def replace(old, new):
        if new == target:
            raise OSError(5, "Input/output error")
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    message = "older: holds the older files, which cannot be moved back"
    with pytest.raises(InputError, match=message) as caught:
        write_new([target])
    kept = Path(str(caught.value).split(": ")[0])
    assert (kept / "m.onnx").read_text() == "old"
