"""What `pytest --nbval` needs to know about the notebooks, and nbval cannot.

- Without other arguments it checks the notebooks, not the unit tests as well.
- A notebook on real data names its corpora in its metadata, as `corpora` under
  `rnn_keras`. It is skipped where they have not been downloaded, and fails instead
  where `RNN_KERAS_REQUIRE_DATA` is set.
- A notebook runs in its own folder, and pytest perhaps in another one than the
  project's: relative paths are made absolute.
"""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from rnn_keras.datasets import CORPORA


def pytest_configure(config: pytest.Config) -> None:
    if folder := os.environ.get("RNN_KERAS_CACHE"):
        os.environ["RNN_KERAS_CACHE"] = os.path.abspath(folder)
    sanitizer = config.option.nbval_sanitize_with
    config.option.nbval_sanitize_with = str(config.rootpath / sanitizer)
    by_default = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    if config.option.nbval and by_default:
        config.args = [str(config.rootpath / "notebooks")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.path.suffix != ".ipynb" or not (missing := missing_corpora(item.path)):
        return
    reason = f"{', '.join(missing)} not found (RNN_KERAS_CACHE names the folder)"
    if os.environ.get("RNN_KERAS_REQUIRE_DATA"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@cache
def missing_corpora(notebook: Path) -> list[str]:
    """Name the corpora of a notebook that have not been downloaded."""
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    names = metadata.get("rnn_keras", {}).get("corpora", [])
    return [name for name in names if not CORPORA[name].cached.exists()]
