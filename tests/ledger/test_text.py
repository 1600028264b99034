"""The text of TOML: lines of keys, however they are written."""

import pytest

from genzoo.ledger.text import load, locate, quoted, replace_table

TEXT = """top = 1
[a] # comment with ] and "
x = [ # [not]
  "]", '[b]',
] # end
"quoted = key" = 1
'it' . "y" = 2
s = '''
[no]
''''
t = \"\"\"\\\"\"\"
[no]
\"\"\"\"
[[a.list]]
x = {p = 1, q = [2]}
[[a.list]]
x = 1
[ "b.c" . d ]
"""


def test_lines():
    load(TEXT)  # it is valid
    lines = locate(TEXT)
    assert lines == {
        ("top",): 1,
        ("a",): 2,
        ("a", "x"): 3,
        ("a", "quoted = key"): 6,
        ("a", "it", "y"): 7,
        ("a", "s"): 8,
        ("a", "t"): 11,
        ("a", "list", 0): 14,
        ("a", "list", 0, "x"): 15,
        ("a", "list", 1): 16,
        ("a", "list", 1, "x"): 17,
        ("b.c", "d"): 18,
    }


def test_replacing_and_adding():
    assert replace_table("", "a", "[a]\nx = 1\n") == "[a]\nx = 1\n"
    assert replace_table("[b]\n", "a", "[a]\n") == "[b]\n\n[a]\n"
    assert replace_table("# only a comment", "a", "[a]") == "# only a comment\n\n[a]\n"
    assert replace_table("[a]\nx = 1", "a", "[a]\nx = 2") == "[a]\nx = 2\n"
    new = replace_table(TEXT, "a", "[a]\nx = 2\n")
    assert new == 'top = 1\n[a]\nx = 2\n[ "b.c" . d ]\n'


@pytest.mark.parametrize(
    "value", ["", 'a"b\\c', "line\nbreak\ttab\r", "\x00\x1b\x7f", "é 漢 🛏", "\u2028\x85"]
)
def test_quoting(value):
    text = f"x = {quoted(value)}"
    assert load(text) == {"x": value} and "\n" not in text


def test_half_a_character_is_written_as_unknown():
    assert load(f"x = {quoted(chr(0xD800))}") == {"x": "?"}
