from .comparison import Comparison, compare
from .run import train
from .run_files import read_run

__all__ = ["Comparison", "compare", "read_run", "train"]
