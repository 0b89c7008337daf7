from .data_examination import examine_data
from .findings import Finding
from .run_examination import examine_network, examine_run

__all__ = ["Finding", "examine_data", "examine_network", "examine_run"]
