"""TextClassifier: from labelled texts to a saved model that takes raw text.

Start with `classifier`. `recipe` chooses what the user leaves open, `explanation` says
what each token adds, `saving` and `allowlist` read a stranger's file without harm.
"""

from rnn_keras.utils.quiet import import_quietly

import_quietly()  # before a module below imports TensorFlow or Keras

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.explanation import Explanation
from rnn_keras.classification.recipe import Recipe, recipe_for
from rnn_keras.classification.saving import load_model

__all__ = ["Explanation", "Recipe", "TextClassifier", "load_model", "recipe_for"]
