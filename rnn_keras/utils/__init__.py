"""Helpers for all other packages, without knowledge of networks or data.

`errors` and `messages` come first: `InputError` is raised wherever input is checked,
and its message is made safe for a terminal. `files` opens files of unknown origin, and
writes files completely or not at all. `quiet` imports TensorFlow without its start-up
lines; nothing else here needs TensorFlow. `progress` is the progress bar, `predictions`
names the answers of a classifier, `choices` lists what both the command line and the
builders offer, and `version` holds the package's version.
"""
