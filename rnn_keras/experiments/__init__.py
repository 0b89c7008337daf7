"""Training runs on disk, and comparisons of many of them.

`run` trains, scores and saves one classifier; `run_folder` guards the folder of a run,
`run_files` writes and reads its files. `comparison` trains many models with several
seeds: networks and baselines (`candidates`), of sizes that make the comparison fair
(`size_matching`).
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
