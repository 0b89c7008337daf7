"""TensorFlow, imported without its start-up log lines.

TensorFlow 2.21 writes a few informational lines straight to file descriptor 2
while its shared libraries load, before it reads `TF_CPP_MIN_LOG_LEVEL`, so no
setting silences them. `import_quietly` holds the descriptor aside for the time
of that import, and shows what was held if the import fails.
"""

import os
import sys
import tempfile

from rnn_keras.silence import held_in


def import_quietly() -> None:
    """Import TensorFlow (once), keeping its start-up lines off standard error."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        try:
            with held_in(held, 2):
                import tensorflow  # noqa: F401
        except BaseException:
            held.seek(0)
            os.write(2, held.read())
            raise


def use_one_thread() -> None:
    """Keep TensorFlow to one thread in this process, which has not imported it yet.

    Processes side by side use the cores better than threads: the steps of a
    recurrence wait for each other.
    """
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    import_quietly()
