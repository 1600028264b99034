"""The official plugins are held to the line that a stranger's plugin is held to."""

import importlib
import re
from pathlib import Path

import pytest

from genzoo.names import OFFICIAL

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_the_names_that_are_reserved_for_it_are_those_of_its_cards(folder):
    package = importlib.import_module(folder.name.replace("-", "_"))
    assert set(OFFICIAL.get(folder.name, ())) == {card.name for card in package.genzoo_cards()}


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_one_line_asks_for_all_laws_of_all_models(folder):
    texts = [path.read_text("utf-8") for path in (folder / "tests").glob("test_*.py")]
    line = rf'^test_laws = laws\("{folder.name}"(, \w+=.*|, \*\*\w+)*\)$'
    assert any(re.search(line, text, re.MULTILINE) for text in texts), (
        f"write in a test: test_laws = laws({folder.name!r})"
    )
