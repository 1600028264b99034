"""The packages of docs/examples: the guide shows their code, and in a room of their own they are installed,
tested and used."""

import ast
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from rooms import Room

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLES = sorted(path.parent for path in (DOCS / "examples").glob("*/pyproject.toml"))
GUIDE = (DOCS / "writing-a-plugin.md").read_text("utf-8")
SHOWN = re.findall(
    r"^<!-- (examples/\S+) -->\n```(?:python|toml)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize(("path", "block"), SHOWN, ids=[path.rpartition("/")[2] for path, _ in SHOWN])
def test_the_guide_shows_the_code_of_the_examples(path, block):
    assert block.strip() in (DOCS / path).read_text("utf-8"), f"{path} reads otherwise"


def test_what_the_guide_shows_is_whole():
    """Every block of code is one of a file, but for the list of hooks and two models without an example."""
    python = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    own = [block for block in python if not any(block == shown for _, shown in SHOWN)]
    hooks = [block for block in own if block.startswith("def genzoo_cards() -> Iterable[Card]:")]
    assert len(own) == 3 and len(hooks) == 1
    assert [("Picture(" in block, "Text(" in block) for block in own if block not in hooks] == [
        (True, False),
        (False, True),
    ]
    assert {path.split("/")[1] for path, _ in SHOWN} == {folder.name for folder in EXAMPLES}


def test_the_core_knows_no_example():
    names = {folder.name.replace("-", "_") for folder in EXAMPLES}
    for folder in ("genzoo", "plugins"):
        for path in (DOCS.parent / folder).rglob("*.py"):
            imports = [
                node
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, (ast.Import, ast.ImportFrom))
            ]
            assert not any(name in ast.unparse(node) for node in imports for name in names), path


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A room in which all examples are installed."""
    room = Room(tmp_path_factory.mktemp("examples"))
    room.install(*EXAMPLES)
    return room


def test_their_tests_pass(room):
    """The three players of one of them train through the loop of the core, which names no kind of model."""
    said = room.run("pytest", "-v", "-p", "no:cacheprovider", "--import-mode=importlib", *EXAMPLES).stdout
    assert re.search(r"\d+ passed in", said.splitlines()[-1]) and "SKIPPED" not in said, said
    for test in (
        "[blobs-implicit]",
        "[numerals-condition]",
        "[pixel-chain-density]",
        "[linear-codes-latents]",
        "[vaegan-game]",
        "[vaegan-latents]",
        "[genzoo-rings-plugin]",
        "test_a_run_plays_all_three",
    ):
        assert f"{test} PASSED" in said


def test_what_one_brings_can_be_used_with_another(room):
    """A model of one package, on the data set of another, measured by its metric; and its command."""
    (rings,) = [row for row in json.loads(room.genzoo("plugins", "--json")) if row["plugin"] == "rings"]
    assert rings["hooks"] == [
        "genzoo_cards",
        "genzoo_datasets",
        "genzoo_commands",
        "genzoo_metrics",
        "genzoo_trackers",
    ]
    settings = ("--steps", 3, "--set", "val_split=0", "--out", "run", "--quiet", "--track", "table")
    room.genzoo("train", "blobs", "--data", "rings", *settings)
    lines = (room.folder / "run" / "numbers.csv").read_text().splitlines()
    losses = [line for line in lines if ",loss/" in line]
    assert [line.split(",")[0] for line in losses] == ["1", "1", "2", "2", "3", "3"]
    asked = ("--data", "rings", "-n", 40, "--metrics", "ink", "--json")
    records = json.loads(room.genzoo("eval", "blobs", *asked, GENZOO_ZOO="run"))
    drawn, floor = ((row["subject"], row["metric"], row["unit"], row["n"], row["data"]) for row in records)
    assert drawn == ("blobs", "ink", "grey levels", 40, "rings") and floor == (
        "train",
        "ink",
        "grey levels",
        40,
        "rings",
    )
    assert records[0]["value"] > records[1]["value"]
    assert room.genzoo("rings", "-n", 4, "-o", "rings.png") == "rings.png\n"
    with Image.open(room.folder / "rings.png") as picture:
        assert min(picture.size) > 32
    assert "Draw the first images of the data set." in room.genzoo("rings", "--help")
