"""The version of the package, which results and saved files record."""

__version__ = "0.1.0"
