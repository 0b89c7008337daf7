"""The command line, `rnn-keras`: parses, calls the other packages, prints.

`app` lists the commands and holds the short ones; `train`, `compare`, `doctor` and
`export` have a module each. `options` are the arguments and `shared` the steps that
several commands have in common; `tables` prints the results.
"""
