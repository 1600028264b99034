"""The ledger: zoo.toml, one row for each published set of weights.

rows.py     Row, Score: reading and writing one zoo.toml
sources.py  where weights may come from
books.py    the core's ledger with those of plugins and of the user
text.py     TOML with line numbers
"""

from genzoo.ledger.books import Ledger, find_ledger, load_ledgers
from genzoo.ledger.rows import Row, Score, add_row, format_row, parse_rows, read_rows, with_row
from genzoo.ledger.sources import FolderSource, PackageSource, RepoSource, Source, parse_source

__all__ = [
    "FolderSource",
    "Ledger",
    "PackageSource",
    "RepoSource",
    "Row",
    "Score",
    "Source",
    "add_row",
    "find_ledger",
    "format_row",
    "load_ledgers",
    "parse_rows",
    "parse_source",
    "read_rows",
    "with_row",
]
