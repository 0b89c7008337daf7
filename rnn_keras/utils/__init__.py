"""What all rooms share: errors, messages, files, quiet imports, progress, predictions.

Nothing here knows a network or a data set, and nothing imports TensorFlow before it is
asked to.
"""
