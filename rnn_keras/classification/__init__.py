"""TextClassifier: from labelled texts to a saved model that takes raw text.

Start with `classifier`. `settings` names and explains all settings, `recipe` chooses
those that the user leaves open, `explanation` says what each token adds to a decision,
`saving` reads a stranger's file without harm. `rnn_keras.exported` answers with a saved
classifier without TensorFlow.
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
