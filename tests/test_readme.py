"""What people are told to type works: every block of the README and of the guide, and every link."""

import ast
import importlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from genzoo.cli.program import cli
from genzoo.names import COMMANDS
from genzoo.registry import installed

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/decisions", "plugins/genzoo-dcgan", "plugins/genzoo-vae")
    for path in (ROOT / folder).glob("*.md")
    if path.is_file()
)
# Pages that people read to learn and to look things up: CONTRIBUTING.md says how they are written.
PROSE = sorted(
    path
    for pattern in ("README.md", "docs/*.md", "docs/api/*.md", "docs/tutorials/*.md", "plugins/*/README.md")
    for path in ROOT.glob(pattern)
)
# What a native speaker stumbles over, as a pattern, and what to write instead.
AVOIDED = {
    r"(is|are|was|were) told": "reports, prints, says",
    r"tells? (them |it |you )?apart": "separate, distinguish",
    r"tells? p\(x\)": "computes p(x)",
    r"lies? (in|inside|on|beside|below|above)": "is in",
    r"stands? (in|beside|below|above|there)": "is in, is next to",
    r"mended": "fixed",
    r"whence": "from which",
    r"strangers?('s)?": "third party, someone else's",
    r"(the|this|our) house": "the project",
    r"by heart": "memorised",
    r"anew": "again",
    r"go(es)? on (to|with|as|from)": "continue, resume",
    r"as it comes": "by default",
    r"forth and back": "forward and backward",
    r"held to|holds that": "checked against, checks that",
    r"(is|was) in the way": "exists already",
    r"seed by seed": "paired by seed",
    r"(not|none|never) chosen": "hand-picked",
    r"beside": "next to",
}
README = (ROOT / "README.md").read_text("utf-8")
USING = (ROOT / "docs" / "using.md").read_text("utf-8")
GUIDE = (ROOT / "docs" / "writing-a-plugin.md").read_text("utf-8")
FIRST = "pip install -r requirements.txt && genzoo sample dcgan-bedrooms -n 16 -o bedrooms.png"
SECOND = "pip install -r requirements-dev.txt && python -m pytest -n auto --dist loadfile"


def blocks(text, *languages):
    return [
        block
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if language in languages
    ]


def commands(text):
    """Yield each `genzoo ...` of the shell blocks, as words."""
    for block in blocks(text, "bash", "console"):
        for line in block.splitlines():
            for part in line.removeprefix("$ ").split("&&"):
                words = shlex.split(part, comments=True)
                if words[:1] == ["genzoo"]:
                    yield words[1:]


TOLD = [(path.name, words) for path in PAGES for words in commands(path.read_text("utf-8"))]


def known(words):
    """Hold that a command and its options exist and take what is written; nothing is run."""
    with click.Context(cli, info_name="genzoo") as context:
        name, command, rest = cli.resolve_command(context, list(words))
        assert name in COMMANDS
        with click.Context(command, info_name=name, parent=context) as inner:
            command.make_parser(inner).parse_args(rest)


def test_the_two_commands_stand_as_single_lines():
    assert FIRST in README.splitlines() and SECOND in README.splitlines()


def test_ci_runs_the_second_command_as_the_readme_has_it():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    pattern = re.search(r"grep -x -m 1 '(.+)' README\.md", script)[1]
    assert [line for line in README.splitlines() if re.fullmatch(pattern, line)] == [SECOND]
    assert os.access(ROOT / ".ci" / "run", os.X_OK) and "set -euo pipefail" in script


@pytest.mark.parametrize(
    ("page", "words"), TOLD, ids=[f"{page}: {' '.join(words)}"[:70] for page, words in TOLD]
)
def test_every_command_that_is_told_exists(page, words):
    known(words)


@pytest.mark.parametrize("line", ["smaple dcgan", "sample dcgan --sede 1", "train dcgan --steps"])
def test_a_command_that_is_not_there_is_seen(line):
    with pytest.raises((click.UsageError, click.NoSuchOption)):
        known(line.split())


def test_readme_and_the_page_on_using_speak_of_every_command():
    text = README + USING
    mentioned = {word for words in commands(text) for word in words[:1]} | set(
        re.findall(r"`genzoo ([\w-]+)", text)
    )
    assert set(COMMANDS) - {"pull", "eval"} <= mentioned


def test_every_python_block_of_the_readme_and_the_page_on_using_runs(tmp_path):
    """In one program, from top to bottom, as somebody would who pastes them into a notebook."""
    code = "\n".join(blocks(README + USING, "python"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bedrooms.png").is_file() and (tmp_path / "runs" / "digits").is_dir()


API = sorted((ROOT / "docs" / "api").glob("*.md"))
# the packages whose classes other people's code names; genzoo.testing has functions and one error
DOORS = [
    "genzoo",
    "genzoo.condition",
    "genzoo.data",
    "genzoo.datasets",
    "genzoo.errors",
    "genzoo.evaluation",
    "genzoo.games",
    "genzoo.layers",
    "genzoo.models",
    "genzoo.record",
    "genzoo.rng",
    "genzoo.runs",
    "genzoo.testing",
    "genzoo.training",
    "genzoo.training.players",
]


def public_classes():
    """Yield the name of each class of the doors, and of each class that an official card names."""
    for module in map(importlib.import_module, DOORS):
        own = [name for name, value in vars(module).items() if value.__class__.__module__ != "typing"]
        for name in getattr(module, "__all__", own):
            found = getattr(module, name)
            if inspect.isclass(found) and not name.startswith("_") and found.__module__.startswith("genzoo"):
                yield name
    for card in installed().cards.values():
        if (ROOT / "plugins" / card.plugin).is_dir():
            yield card.model.partition(":")[2]


def test_every_public_class_has_an_example():
    shown = "\n".join(page.read_text("utf-8").partition("## Examples")[2] for page in API)
    names = sorted(set(public_classes()))
    assert len(names) > 80 and [name for name in names if not re.search(rf"\b{name}\b", shown)] == []


def test_every_example_of_the_api_pages_runs(tmp_path):
    """Page by page, from top to bottom, in one process: most of the time is the import of torch."""
    python = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    pages = {page.name: "\n".join(python.findall(page.read_text("utf-8"))) for page in API}
    assert sum(map(bool, pages.values())) >= 9
    code = "import json, sys\nfor page, text in json.load(sys.stdin).items():\n"
    code += "    exec(compile(text, page, 'exec'), {'__name__': page})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        input=json.dumps(pages),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_python_block_of_the_other_pages_parses():
    for path in PAGES:
        for block in blocks(path.read_text("utf-8"), "python"):
            ast.parse(re.sub(r"^(def genzoo_\w+\(.*\) -> .*:)$", r"\1", block, flags=re.MULTILINE))


def anchors(text):
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_every_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if not re.match(r"[a-z]+://", target):
            file, _, anchor = target.partition("#")
            page = (path.parent / file).resolve() if file else path
            assert page.exists(), f"{target} leads nowhere"
            assert not anchor or anchor in anchors(page.read_text("utf-8")), f"{target}: no such title"


def test_every_file_that_the_security_page_names_is_there():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    named = re.findall(r"`((?:genzoo|tests)/[\w/.]*)`", text)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert re.findall(r"^\| (R\d+) \|", text, re.MULTILINE) == [f"R{number}" for number in range(1, 16)]


def test_every_variable_of_the_environment_is_explained():
    read = set()
    for path in (ROOT / "genzoo").rglob("*.py"):
        read |= set(re.findall(r"environ(?:\.get\(|\[)\"((?:GENZOO|HF)_\w+)\"", path.read_text("utf-8")))
    assert read - set(re.findall(r"`((?:GENZOO|HF)_\w+)`", USING)) == set()


def test_every_law_stands_in_the_guide():
    import genzoo.testing

    laws = [name for name in genzoo.testing.__all__ if name.startswith("check_")]
    assert [name for name in laws if f"`{name}" not in GUIDE] == []


def avoided(text):
    """Yield each phrase of AVOIDED in the prose of a page, with what to write instead; code is not prose."""
    prose = re.sub(r"^(```+).*?^\1|`[^`\n]+`|\]\([^)]*\)", " ", text, flags=re.MULTILINE | re.DOTALL)
    prose = " ".join(prose.split())
    for pattern, instead in AVOIDED.items():
        for found in re.finditer(rf"\b({pattern})(?!\w)", prose, re.IGNORECASE):
            around = prose[max(0, found.start() - 40) : found.end() + 40]
            yield f"{found[0]!r} in {around!r}: {instead}"


@pytest.mark.parametrize("path", PROSE, ids=[path.relative_to(ROOT).as_posix() for path in PROSE])
def test_a_page_has_no_phrase_that_we_avoid(path):
    assert list(avoided(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    ["The weights lie inside the plugin.", "What came out is\ntold at the end.", "A stranger's plugin."],
)
def test_a_phrase_that_we_avoid_is_seen(text):
    assert len(list(avoided(text))) == 1


def test_code_may_use_any_word():
    assert list(avoided("`told` and\n```python\nanew = stranger\n```\n[it](house/anew.md) is fine")) == []
