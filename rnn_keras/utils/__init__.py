"""Helpers for all other packages, without knowledge of networks or data.

`errors` and `messages` come first: `InputError` is raised wherever input is checked,
and its message is made safe for a terminal. `files` opens files of unknown origin, and
writes files completely or not at all. `quiet` imports TensorFlow without its start-up
lines; nothing else here needs TensorFlow. `progress` is the progress bar, `stages` says
where the seconds of a job go, and `stopping` ends a command soon after Ctrl-C.
`threads` says how many threads compute, `predictions` names the answers of a
classifier, and `choices` lists what the command line and the builders offer.
"""

# The version of the package, which results and saved files record.
__version__ = "0.1.0"
