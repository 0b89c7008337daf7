"""The command line, `rnn-keras`: parses, calls the other packages, prints.

`app` lists the commands, each in a module of its own name or in `app` itself.
"""
