"""The fast reader of the form that genzoo writes: it says what TOML says, or nothing."""

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genzoo.ledger import Row, canonical, find_ledger, format_row, read_rows
from genzoo.ledger.text import load

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = find_ledger().read_text("utf-8")
PART = "\n\n".join(TEXT.split("\n\n")[1:6]) + "\n"  # a row and some of its scores


def test_the_ledger_of_genzoo_has_this_form():
    assert canonical.read(TEXT) == tomllib.loads(TEXT)
    assert canonical.read(TEXT.rstrip("\n")) == tomllib.loads(TEXT)


def test_what_genzoo_writes_has_this_form():
    row = next(row for row in read_rows(find_ledger()).values() if row.scores)
    text = format_row(row)
    assert canonical.read(text) == tomllib.loads(text)
    row = Row(name="a.b", sha256="ab" * 32, bytes=1, sources=("folder:x",))
    assert canonical.read(format_row(row)) is None  # a name in quotes is left to TOML


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n",
        "[a]\nx = -1\ny = 1e-05\nz = -0.5\n",
        "[a]\n[b]\n[[b.scores]]\n[[b.scores]]\nn = 1\n",
        '[a]\nx = ""\ny = "# [no] = \u2028 header"\n',
        '[a]\nx = [\n    "b",\n    "c",\n]\n',
    ],
)
def test_it_reads(text):
    assert canonical.read(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n",
        "[a]\nx = 1\nx = 2\n",
        "[a]\n[a]\n",
        "[a]\n[b]\n[[a.scores]]\n",
        "[[a.scores]]\n",
        '[a]\nscores = "x"\n[[a.scores]]\n',
        '[a]\nscores = [\n    "x",\n]\n[[a.scores]]\n',
        '[a]\nscores = [\n    "x",\n]\nscores = 1\n',
        '[a]\nx = "a\\n"\n',
        '[a]\nx = "a\tb"\n',
        "[a]\nx = 'b'\n",
        "[a]\nx = 01\n",
        "[a]\nx = 1_000\n",
        "[a]\nx = 0x10\n",
        "[a]\nx = 1.\n",
        "[a]\nx = true\n",
        "[a]\nx.y = 1\n",
        "[a.b]\n",
        "[a]\n# \x07\n",
        "[a]\nx = 1 # one\n",
        "[a]\n x = 1\n",
        "[a] b\n",
        '[a]\nx = ["b"]\n',
        "[a]\nx = 1" + "0" * 18 + "\n",
    ],
)
def test_all_else_is_left_to_toml(text):
    assert canonical.read(text) is None


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(PART)), st.integers(0, 12), st.sampled_from([*'[]="#.-_e01\n\\\t a,', ""])
        ),
        max_size=3,
    )
)
def test_damaged_text_means_what_toml_says_or_is_left_to_it(changes):
    text = PART
    for place, length, new in changes:
        text = text[:place] + new + text[place + length :]
    found = canonical.read(text)
    if found is not None:
        assert found == tomllib.loads(text)


@given(st.lists(st.sampled_from(PART.splitlines(keepends=True)), max_size=12))
def test_lines_in_any_order(lines):
    text = "".join(lines)
    found = canonical.read(text)
    if found is not None:
        assert found == tomllib.loads(text)


def test_types_are_those_of_toml():
    found = load("[a]\nx = 1\ny = 1.0\nz = 1e5\n")["a"]
    assert [type(value) for value in found.values()] == [int, float, float]


def test_the_limit_of_tables_holds_in_this_form_too():
    with pytest.raises(ValueError, match="more than 5,000 tables"):
        load("\n".join(f"[t{i}]" for i in range(5_002)))


@pytest.mark.parametrize("piece", ["y", "a.", '"', "[", "a = 1 ", "#", " ", 'a = "\\', "[[a.scores]]"])
def test_a_long_line_of_another_form_costs_one_pass(piece):
    """A search for the next part, tried from every character, took a hundred seconds of 200,000."""
    begun = time.process_time()
    assert canonical.read(f"x = {piece * 200_000}") is None
    assert time.process_time() - begun < 1
