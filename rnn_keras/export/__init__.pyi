from .verification import ExportError
from .writer import ExportReport, export

__all__ = ["ExportError", "ExportReport", "export"]
