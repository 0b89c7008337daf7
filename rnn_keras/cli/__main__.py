"""`python -m rnn_keras.cli` is the command `rnn-keras`."""

from rnn_keras.cli.app import main

main()
