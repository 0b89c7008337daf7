"""What is wrong with data, a run or a network: findings, each with its cure.

`examine_data`, `examine_run` and `examine_network` run all checks that apply. They are
imported from `rnn_keras.doctor`; they live in the modules `data_examination` and
`run_examination`, because a module with the name of its function would hide it.

Read `findings` first (what a check returns), then `data_examination`, which calls
`data_checks`, `leak_checks` and `token_checks` on texts, and `run_examination`, which
calls `training_checks` and `network_checks` on what a training has produced. A check is
a function that returns a `Finding`, or `None` if all is well, and can be called alone.
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
