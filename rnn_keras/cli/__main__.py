"""`python -m rnn_keras` is `rnn-keras`."""

from rnn_keras.cli.app import app

app(prog_name="rnn-keras")
