"""Training runs on disk, and comparisons of many.

`run` trains, scores and saves one; `run_folder` guards its folder and `run_files` reads
and writes what is in it. `comparison` runs many, each a cell and a seed (`candidates`),
with sizes that make the comparison fair (`size_matching`).
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
