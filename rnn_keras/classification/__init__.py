"""TextClassifier: from labelled texts to a saved model that takes raw text.

Start with `classifier`. `settings` names and explains all settings, `recipe` chooses
those that the user leaves open, `explanation` says what each token adds to a decision,
`saving` and `allowlist` read a stranger's file without harm.
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
