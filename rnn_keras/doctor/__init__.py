"""What is wrong with data, a run or a network: findings, each with its cure.

`data_examination` and `run_examination` ask the questions; the `*_checks` modules
answer one each, as a `Finding` or `None` (`findings`).
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
