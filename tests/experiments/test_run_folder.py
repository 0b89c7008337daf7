"""The folder of a run, without a run: what a process finds and what it leaves."""

import json

import pytest

from rnn_keras.experiments.run_folder import (
    FILES,
    UNFINISHED,
    check_free,
    digest_of,
    run_folder,
)
from rnn_keras.utils.errors import InputError

RUN, OTHER = {"texts": "x", "seed": 1}, {"texts": "x", "seed": 2}


def write(folder, what="new"):
    with folder.results() as results:
        for name in FILES:
            (results / name).write_text(f"{what} {name}")


def names(out):
    return {path.name for path in out.iterdir()}


def leave_checkpoint(out, identity):
    """Leave what a process leaves that was killed while it trained."""
    with run_folder(out, identity=identity) as folder:
        folder.checkpoints.mkdir(exist_ok=True)
        (folder.checkpoints / "00000-00000001-abc.npz").write_bytes(b"state")


def test_results_are_there_at_once_and_nothing_else_stays(tmp_path):
    out = tmp_path / "a" / "run"
    with run_folder(out, identity=RUN) as folder:
        assert not folder.finished
        write(folder)
    assert names(out) == set(FILES)


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with run_folder(tmp_path / "a" / "run", identity=RUN):
        pass
    assert names(tmp_path) == set()


def test_a_failure_while_writing_leaves_what_was_there(tmp_path):
    (tmp_path / "metrics.json").write_text("older")

    def write_and_fail():
        with (
            run_folder(tmp_path, force=True) as folder,
            folder.results() as results,
        ):
            (results / "metrics.json").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"cannot be written .No space left"):
        write_and_fail()
    assert names(tmp_path) == {"metrics.json"}
    assert (tmp_path / "metrics.json").read_text() == "older"


def test_an_older_run_is_kept_unless_forced(tmp_path):
    (tmp_path / "metrics.json").write_text("older")
    with pytest.raises(InputError, match=r"holds an older run \(metrics.json\)"):
        check_free(tmp_path)
    with (
        pytest.raises(InputError, match=r"holds an older run \(metrics.json\)"),
        run_folder(tmp_path, identity=RUN),
    ):
        pass
    check_free(tmp_path, force=True)
    with run_folder(tmp_path, force=True, identity=RUN) as folder:
        write(folder)
    assert (tmp_path / "metrics.json").read_text() == "new metrics.json"


def test_what_is_in_the_way_of_a_result_is_not_replaced(tmp_path):
    (tmp_path / "model.keras").mkdir()
    with pytest.raises(InputError, match=r"model.keras: is no file"):
        check_free(tmp_path, force=True)
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="file/run: cannot be written"),
        run_folder(tmp_path / "file" / "run", identity=RUN),
    ):
        pass


def test_a_second_process_is_refused(tmp_path):
    out = tmp_path / "run"
    with run_folder(out):
        before = sorted(out.rglob("*"))
        for force in (False, True):
            with (
                pytest.raises(InputError, match="run: another run is writing there"),
                run_folder(out, force=force),
            ):
                pass
        assert sorted(out.rglob("*")) == before
    assert not out.exists()


def test_only_the_same_run_continues_from_checkpoints(tmp_path):
    out = tmp_path / "run"
    leave_checkpoint(out, RUN)
    assert names(out) == {UNFINISHED}
    with run_folder(out, identity=RUN) as folder:
        assert folder.has_checkpoints()
    with (
        pytest.raises(InputError, match="holds an unfinished run with other seed;"),
        run_folder(out, identity=OTHER),
    ):
        pass
    # An older run does not matter then, and the checkpoints survive `force`.
    (out / "metrics.json").write_text("older")
    with run_folder(out, force=True, identity=RUN) as folder:
        assert folder.has_checkpoints()
    with run_folder(out, force=True, identity=OTHER) as folder:
        assert not folder.has_checkpoints()
        write(folder)
    assert names(out) == set(FILES)


@pytest.mark.parametrize("moved", range(len(FILES) + 1))
def test_a_process_killed_while_files_are_moved_has_finished_its_run(moved, tmp_path):
    """The folder is as a kill leaves it after so many files have been moved."""
    aside = tmp_path / UNFINISHED
    (aside / "done").mkdir(parents=True)
    (aside / "run.json").write_text(json.dumps(RUN))
    for i, name in enumerate(sorted(FILES)):
        content = json.dumps({"run": digest_of(RUN), "name": name})
        (tmp_path if i < moved else aside / "done").joinpath(name).write_text(content)
    check_free(tmp_path)
    # Another run is refused, but the files are moved all the same.
    with (
        pytest.raises(InputError, match="holds an older run"),
        run_folder(tmp_path, identity=OTHER),
    ):
        pass
    assert names(tmp_path) == set(FILES)
    with run_folder(tmp_path, identity=RUN) as folder:
        assert folder.finished
    for name in FILES:
        assert json.loads((tmp_path / name).read_text())["name"] == name


def test_a_run_that_has_finished_is_known_by_its_digest(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"run": digest_of(RUN)}))
    with run_folder(tmp_path, identity=RUN) as folder:
        assert folder.finished
    assert digest_of(RUN) == digest_of(dict(reversed(RUN.items()))) != digest_of(OTHER)
