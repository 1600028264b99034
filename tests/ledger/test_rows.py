"""Rows: read strictly with the line of each fault, written always the same, changed without harm to anything
else."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from genzoo.errors import GenzooError, LedgerError, StorageError
from genzoo.ledger import LEDGER_CAP, Row, add_row, format_row, parse_rows, read_rows, with_row, writing
from genzoo.ledger.text import load as parse
from genzoo.record import BETTER, KINDS, Record

DIGEST = "ab" * 32
PLAIN = f"""# models of the zoo

[dcgan-bedrooms]
plugin = "genzoo-dcgan"
sha256 = "{DIGEST}"
bytes = 7_200_000
sources = [
    "package:genzoo_dcgan/weights/dcgan-bedrooms.safetensors",  # embedded
    "folder:local/x.safetensors",
]
data = \"\"\"
[not-a-header]
x = 1
\"\"\"

[[dcgan-bedrooms.scores]]
metric = "KID"
value = 3
n = 4379
stderr = 0.1

# about the next one
["a.b"]
sha256 = "{DIGEST}"
bytes = 1
sources = ["folder:y"]
"""


def fault(text, origin="zoo.toml"):
    """Return the first problem of a ledger, or the error where nothing in it can be used."""
    try:
        problems = parse_rows(text if isinstance(text, bytes) else text.encode(), Path(origin)).problems
    except LedgerError as error:
        problems = [str(error)]
    assert all("\n" not in problem for problem in problems)
    return problems[0]


def test_a_ledger_is_read():
    rows = parse_rows(PLAIN.encode(), Path("/x/zoo.toml"))
    row = rows["dcgan-bedrooms"]
    assert list(rows) == ["dcgan-bedrooms", "a.b"]
    assert (row.bytes, row.plugin, row.origin, row.licence) == (
        7_200_000,
        "genzoo-dcgan",
        Path("/x/zoo.toml"),
        "",
    )
    bare = {"subject": "", "split": "", "transform": ""}
    assert row.scores == (Record(metric="KID", value=3.0, n=4379, stderr=0.1, **bare),)
    assert row.places()[1].path == Path("/x/local/x.safetensors")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("plugin =", "plugni =", "zoo.toml:4: [dcgan-bedrooms] unknown key 'plugni'; did you mean 'plugin'?"),
        ("bytes = 7_200_000", "bytes = 0", "zoo.toml:6: [dcgan-bedrooms] bytes must lie between 1 and"),
        (
            "bytes = 7_200_000",
            "bytes = 9_000_000_000",
            "zoo.toml:6: [dcgan-bedrooms] bytes must lie between 1 and",
        ),
        ("bytes = 7_200_000", 'bytes = "7"', "zoo.toml:6: [dcgan-bedrooms] bytes must be a whole number"),
        ("bytes = 7_200_000", "bytes = true", "zoo.toml:6: [dcgan-bedrooms] bytes must be a whole number"),
        (DIGEST, DIGEST[1:], "zoo.toml:5: [dcgan-bedrooms] sha256 must be 64"),
        (DIGEST, "../" + DIGEST[3:], "zoo.toml:5: [dcgan-bedrooms] sha256 must be 64"),
        (DIGEST, DIGEST.upper(), "zoo.toml:5: [dcgan-bedrooms] sha256 must be 64"),
        (
            "local/x.",
            "../x.",
            "zoo.toml:7: [dcgan-bedrooms] source '../x.safetensors' must be a relative path",
        ),
        (
            "folder:local",
            "ftp:local",
            "zoo.toml:7: [dcgan-bedrooms] source 'ftp:local/x.safetensors' must start with package:",
        ),
        (
            'sha256 = "' + DIGEST + '"\nbytes = 7',
            "bytes = 7",
            "zoo.toml:3: [dcgan-bedrooms] the key 'sha256' is missing",
        ),
        ('metric = "KID"', "metric = 1", "zoo.toml:17: [dcgan-bedrooms.scores] metric must be a text"),
        ("n = 4379", "N = 4379", "zoo.toml:19: [dcgan-bedrooms.scores] unknown key 'N'; did you mean 'n'?"),
        ("value = 3", "value = nan", "zoo.toml:18: [dcgan-bedrooms.scores] value must be a finite number"),
        (
            'metric = "KID"',
            'metric = "KID"\nkind = "guess"',
            "zoo.toml:18: [dcgan-bedrooms.scores] kind must be one of exact, elbo",
        ),
        ("[dcgan-bedrooms]", "[DCGAN]", "zoo.toml:3: [DCGAN] name 'DCGAN' must match"),
        ("bytes = 7_200_000", "bytes = 7\nrecipe = 1", "zoo.toml:7: [dcgan-bedrooms] recipe must"),
        ("bytes = 7_200_000", "bytes = 7\nrecipe = [1]", "zoo.toml:7: [dcgan-bedrooms] recipe"),
        (
            "bytes = 7_200_000",
            'bytes = 7\nrecipe = ["steps"]',
            "zoo.toml:7: [dcgan-bedrooms] recipe must hold short texts KEY=VALUE, not 'steps'",
        ),
        (
            "bytes = 7_200_000",
            'bytes = 7\nrecipe = ["steps=' + 501 * "9" + '"]',
            "zoo.toml:7: [dcgan-bedrooms] recipe must hold short texts KEY=VALUE",
        ),
        (
            "bytes = 7_200_000",
            'bytes = 7\nrecipe = ["steps=1\\nx"]',
            "zoo.toml:7: [dcgan-bedrooms] recipe must hold short texts KEY=VALUE",
        ),
        (
            "bytes = 7_200_000",
            "bytes = 7\nrecipe = [" + 101 * '"steps=1",' + "]",
            "zoo.toml:7: [dcgan-bedrooms] recipe must have at most 100 keys, not 101",
        ),
        ('["a.b"]', "[a.b]", "zoo.toml:23: [a] unknown key 'b'"),
        ('["a.b"]', "[con]", "zoo.toml:23: [con] name 'con' is a device name"),
        ('["a.b"]', "[dcgan_bedrooms]", "zoo.toml:23: [dcgan_bedrooms] clashes with [dcgan-bedrooms]"),
        ("# models of the zoo", "version = 1", "zoo.toml:1: unknown key 'version'"),
        ("n = 4379", "n = ", "zoo.toml:19: [dcgan-bedrooms] not valid TOML"),
        ("n = 4379", "metric = 1", "zoo.toml:19: [dcgan-bedrooms] not valid TOML"),
    ],
)
def test_a_fault_is_told_with_its_line(old, new, words):
    assert old in PLAIN
    assert fault(PLAIN.replace(old, new, 1)).startswith(words)


def test_text_that_tomllib_chokes_on():
    assert fault("[a]\nx = " + "[" * 100_000).startswith("zoo.toml:2: not valid TOML")
    assert fault(b"[a]\nx = '\xff'").startswith("zoo.toml:2: not UTF-8")
    assert fault("a = 1979-99-99").startswith("zoo.toml:1: not valid TOML")
    assert "scores must be a list" in fault(
        f'[a]\nsha256 = "{DIGEST}"\nbytes = 1\nsources = ["folder:x"]\nscores = 3'
    )
    assert "sources must name at least one place" in fault(
        f'[a]\nsha256 = "{DIGEST}"\nbytes = 1\nsources = []'
    )


def test_hostile_text_does_not_reach_the_terminal():
    assert "\x1b" not in fault('["\\u001b[31mred"]\n')


def test_windows_lines_and_odd_separators():
    row = parse_rows(PLAIN.replace("\n", "\r\n").encode(), Path("z"))["dcgan-bedrooms"]
    assert row.bytes == 7_200_000
    text = PLAIN.replace("# embedded", "# \u2028 \x85").replace("bytes = 7_", "byte = 7_")
    assert fault(text).startswith("zoo.toml:6:")


def test_a_large_file_is_refused(tmp_path):
    (tmp_path / "zoo.toml").write_bytes(b"#" * (LEDGER_CAP + 1))
    with pytest.raises(StorageError, match="larger than"):
        read_rows(tmp_path / "zoo.toml")


def row(name="dcgan-bedrooms", **changes):
    return Row(
        **{"name": name, "sha256": DIGEST, "bytes": 5, "sources": ("folder:x.safetensors",), **changes}
    )


texts = st.text(st.characters(codec="utf-8"), max_size=20)
said = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
scores = st.builds(
    Record,
    metric=said | st.sampled_from(["kid", "swd-16", "ms-ssim", "accuracy", "a[b]"]),
    value=numbers,
    unit=said,
    kind=st.sampled_from(KINDS),
    features=texts,
    data=texts,
    image_shape=texts | st.just("1x28x28"),
    n_reference=st.none() | st.integers(1, 10**12),
    better=st.sampled_from(BETTER),
    note=texts,
    n=st.integers(0, 10**12),
    stderr=st.none() | st.floats(0, 1e300),
    protocol=texts,
    blocks=st.none() | st.integers(1, 10**12),
)
some_rows = st.builds(
    row,
    st.sampled_from(["a", "b.c", "dcgan-bedrooms"]),
    data=texts | st.just("mnist, 60,000 images (train), 1×28×28, 8-bit"),
    licence=texts,
    scores=st.lists(scores, max_size=3).map(tuple),
)


@settings(
    max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate]
)  # shrinking such texts takes minutes
@given(some_rows)
def test_what_is_written_reads_the_same(some):
    text = format_row(some)
    assert parse_rows(text.encode(), some.origin) == {some.name: some}
    assert format_row(parse_rows(text.encode(), some.origin)[some.name]) == text


@settings(
    max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate]
)  # shrinking such texts takes minutes
@given(some_rows)
def test_adding_keeps_all_the_rest(some):
    before = parse_rows(PLAIN.encode(), Path("zoo.toml"))
    data = with_row(PLAIN.encode(), some, Path("zoo.toml"))
    assert parse_rows(data, Path("zoo.toml")) == {**before, some.name: some}
    for comment in ("# models of the zoo\n", "# about the next one\n"):
        assert comment in data.decode()


def test_a_row_is_replaced_where_it_stands():
    text = with_row(PLAIN.replace("bytes = 7", "# why\nbytes = 7").encode(), row(), Path("z")).decode()
    assert text.startswith("# models of the zoo\n\n[dcgan-bedrooms]\nsha256 = ")
    assert text.endswith(
        '# why\n\n# about the next one\n["a.b"]\nsha256 = "'
        + DIGEST
        + '"\nbytes = 1\nsources = ["folder:y"]\n'
    )
    assert "KID" not in text and "package:" not in text


def test_keys_of_a_newer_genzoo_stay_in_the_file():
    newer = (
        PLAIN.replace("bytes = 1\n", "bytes = 1\nlater = [\n  1,\n]\n")
        + '["a.b".more]\nx = nan\n[other]\nbytes = 0\n'
    )
    text = with_row(f"version = 2\n{newer}".encode(), row(), Path("z")).decode()
    assert (
        text.startswith("version = 2\n")
        and "later = [\n  1,\n]\n" in text
        and '["a.b".more]\nx = nan\n' in text
    )
    assert "[other]\nbytes = 0\n" in text


def test_keys_of_a_newer_genzoo_stay_with_the_weights_that_they_are_about():
    newer = PLAIN.replace("n = 4379", "n = 4379\n[dcgan-bedrooms.extra]\nx = 1").replace(
        "plugin =", "later = 1\nplugin ="
    )
    text = with_row(newer.encode(), row(licence="MIT"), Path("zoo.toml")).decode()
    assert (
        f'sha256 = "{DIGEST}"\nbytes = 5' in text
        and "\nlater = 1\n" in text
        and "\n[dcgan-bedrooms.extra]\nx = 1\n" in text
    )
    assert parse_rows(text.encode(), Path("zoo.toml"))["dcgan-bedrooms"] == row(licence="MIT")
    assert with_row(text.encode(), row(licence="MIT"), Path("zoo.toml")).decode() == text
    other = with_row(newer.encode(), row(sha256="cd" * 32), Path("zoo.toml")).decode()
    assert (
        "\n# later = 1\n" in other
        and "\n# [dcgan-bedrooms.extra]\n# x = 1\n" in other
        and "extra" not in parse(other)["dcgan-bedrooms"]
    )


def test_a_ledger_that_is_broken_is_not_written():
    with pytest.raises(LedgerError, match=r"z:1: not valid TOML"):
        with_row(b"= 1\n" + PLAIN.encode(), row(), Path("z"))
    with pytest.raises(LedgerError, match=r"z:1: not UTF-8"):
        with_row(b"# \xff\n" + PLAIN.encode(), row(), Path("z"))
    with pytest.raises(LedgerError, match="would grow beyond"):
        with_row(PLAIN.encode() + b"#" * LEDGER_CAP, row(), Path("z"))
    with pytest.raises(LedgerError, match=r"clashes with \[dcgan-bedrooms\]"):
        with_row(PLAIN.encode(), row("dcgan_bedrooms"), Path("z"))


def test_without_locks_nothing_of_others_is_lost(tmp_path, monkeypatch):
    """Others write between reading and replacing, and once more right after it."""
    path, turns = tmp_path / "zoo.toml", iter([*"ab", None, "c", *[None] * 20])
    real = writing.with_row

    def and_another(data, mine, origin):
        if (name := next(turns)) is not None:
            path.write_bytes(real(path.read_bytes() if path.exists() else b"", row(name), path))
        return real(data, mine, origin)

    monkeypatch.setattr(writing, "with_row", and_another)
    monkeypatch.setattr(writing, "locked", lambda path: contextlib.nullcontext())
    add_row(path, row("mine"))
    assert set(read_rows(path)) == {"a", "b", "mine"}
    add_row(path, row("mine", licence="MIT"))
    assert set(read_rows(path)) == {"a", "b", "c", "mine"} and read_rows(path)["mine"].licence == "MIT"


def test_a_row_that_others_erase_each_time_is_told(tmp_path, monkeypatch):
    real = writing.atomic_write

    def erased(path, data):
        real(path, data)
        path.write_text("")

    monkeypatch.setattr(writing, "atomic_write", erased)
    with pytest.raises(LedgerError, match="others keep writing"):
        add_row(tmp_path / "zoo.toml", row())


def test_tables_apart_are_replaced_too():
    apart = PLAIN + '[[dcgan-bedrooms.scores]]\nmetric = "FID"\nvalue = 9\n'
    text = with_row(apart.encode(), row(), Path("z")).decode()
    assert "FID" not in text and '["a.b"]' in text


def test_line_ends_of_windows_stay():
    data = with_row(PLAIN.replace("\n", "\r\n").encode(), row(), Path("z"))
    assert data.count(b"\n") == data.count(b"\r\n")


def test_a_form_that_cannot_be_replaced_is_left_alone(tmp_path):
    text = f'a = {{ sha256 = "{DIGEST}", bytes = 1, sources = ["folder:y"] }}\n'
    (tmp_path / "zoo.toml").write_text(text)
    with pytest.raises(LedgerError, match=r"cannot be written.*by hand"):
        add_row(tmp_path / "zoo.toml", row("a"))
    with pytest.raises(GenzooError):
        add_row(tmp_path / "missing" / "zoo.toml", row("a"))
    assert (tmp_path / "zoo.toml").read_text() == text


def test_a_text_that_would_change_on_the_way_is_not_written():
    with pytest.raises(LedgerError, match="without harm"):
        with_row(b"", row(data="half a character: \ud800"), Path("z"))


def test_a_row_checks_itself():
    for changes, words in [
        ({"sha256": "x"}, "sha256"),
        ({"bytes": 0}, "bytes"),
        ({"sources": ()}, "sources"),
        ({"sources": ("x",)}, "source"),
    ]:
        with pytest.raises(LedgerError, match=words):
            row(**changes)
    with pytest.raises(LedgerError):
        row().replace(sha256=DIGEST + "\n")


ADD = """
import sys
from pathlib import Path
from genzoo.ledger import Row, add_row
for i in range(4):
    name = f"m{sys.argv[2]}-{i}"
    add_row(Path(sys.argv[1]), Row(name=name, sha256="ab" * 32, bytes=1, sources=("folder:x",)))
"""


def test_several_processes_lose_no_row(tmp_path):
    children = [
        subprocess.Popen([sys.executable, "-c", ADD, str(tmp_path / "zoo.toml"), str(i)]) for i in range(3)
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert len(read_rows(tmp_path / "zoo.toml")) == 12


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    marked = b"\xef\xbb\xbf" + PLAIN.encode()
    assert parse_rows(marked, Path("zoo.toml")) == parse_rows(PLAIN.encode(), Path("zoo.toml"))
    (tmp_path / "zoo.toml").write_bytes(marked)
    add_row(tmp_path / "zoo.toml", Row(name="new", sha256=DIGEST, bytes=1, sources=("folder:z",)))
    assert set(read_rows(tmp_path / "zoo.toml")) == {*parse_rows(PLAIN.encode(), Path("zoo.toml")), "new"}
