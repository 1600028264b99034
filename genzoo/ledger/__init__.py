"""The ledger: zoo.toml, one row for each published set of weights.

rows.py     Row, Ledger: what a zoo.toml says
scores.py   the records of a row, and the keys that hold one
reading.py  from the text of a zoo.toml to its rows, each on its own
writing.py  from a row to text, and into a zoo.toml
sources.py  where weights may come from
books.py    the core's ledger with those of plugins and of the user
text.py     TOML with line numbers and limits
canonical.py the fast reader of the form that writing.py gives
"""

from genzoo.ledger.load import find_ledger, ledger_files, load_ledgers
from genzoo.ledger.reading import parse_rows, read_rows
from genzoo.ledger.rows import LEDGER_CAP, Ledger, Row
from genzoo.ledger.sources import FolderSource, PackageSource, RepoSource, Source, parse_source
from genzoo.ledger.writing import add_row, format_row, with_row

__all__ = [
    "LEDGER_CAP",
    "FolderSource",
    "Ledger",
    "PackageSource",
    "RepoSource",
    "Row",
    "Source",
    "add_row",
    "find_ledger",
    "format_row",
    "ledger_files",
    "load_ledgers",
    "parse_rows",
    "parse_source",
    "read_rows",
    "with_row",
]
