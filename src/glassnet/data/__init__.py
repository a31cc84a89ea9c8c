"""Data: from sources to rows, from rows to features and targets, and which rows are held out."""

from glassnet.data.encoding import Encoding
from glassnet.data.parts import Arrays, Source, Table
from glassnet.data.sources import BUNDLED, load_source
from glassnet.data.split import split
from glassnet.data.targets import TargetEncoding
from glassnet.memory import available_memory, check_memory

__all__ = [
    "BUNDLED",
    "Arrays",
    "Encoding",
    "Source",
    "Table",
    "TargetEncoding",
    "available_memory",
    "check_memory",
    "load_source",
    "split",
]
