"""Tables for notebooks: what `_repr_html_` of a card, a record and an outcome returns."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from genzoo.errors import safe_text

# Without these classes a notebook would set a text between two dollar signs as mathematics.
_TABLE = '<table class="tex2jax_ignore mathjax_ignore">'


def html_table(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """Return an HTML table; the first cell of each row is its heading.

    Every cell passes `safe_text` and is escaped, so that no text from outside becomes markup.
    """
    head = f"<thead><tr>{''.join(map(_heading, header))}</tr></thead>" if header else ""
    body = "".join(f"<tr>{_heading(first)}{''.join(map(_cell, rest))}</tr>" for first, *rest in rows)
    return f"{_TABLE}{head}<tbody>{body}</tbody></table>"


def html_facts(facts: Iterable[tuple[str, object]]) -> str:
    """Return an HTML table of two columns, key and value; pairs with an empty value are left out."""
    return html_table((key, value) for key, value in facts if value not in ("", None))


def _heading(value: object) -> str:
    return f"<th>{html.escape(safe_text(value))}</th>"


def _cell(value: object) -> str:
    return f"<td>{html.escape(safe_text(value))}</td>"
