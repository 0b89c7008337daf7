"""Recurrent networks on text with Keras: builders, a text classifier, data.

The names are listed in `__init__.pyi` and imported when they are first used, so
that `import rnn_keras` and `rnn-keras --help` do not wait for TensorFlow.
"""

import lazy_loader

from rnn_keras.utils import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
