"""The built site: every link leads somewhere, every picture is there, nothing is fetched from elsewhere,
nothing is missing."""

import importlib
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import click
import pytest

import genzoo
from genzoo.cli.program import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]
FETCHED = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}


class Page(HTMLParser):
    """The ids of a page, where its links lead and what it fetches."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.fetched = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if found.get(FETCHED.get(tag, "")):
            self.fetched.append(found[FETCHED[tag]])


def read(site):
    return {path.relative_to(site).as_posix(): Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


def broken(site, pages, name):
    """Yield each link of a page that leads nowhere inside the site, and each thing it would fetch from
    outside."""
    for target in [*pages[name].links, *pages[name].fetched]:
        parts = urlsplit(urljoin(f"/{name}", target))
        if urlsplit(target).scheme or urlsplit(target).netloc:
            if target in pages[name].fetched and not target.startswith("data:"):
                yield f"{target} is fetched from outside"
            elif parts.scheme not in ("https", "mailto", "data"):
                yield f"{target} is no safe address"
            continue
        path = unquote(parts.path).lstrip("/")
        if not (site / path).exists():
            yield f"{target} leads nowhere"
        elif parts.fragment and path in pages and unquote(parts.fragment) not in pages[path].ids:
            yield f"{target} names no part of {path}"


@pytest.fixture(scope="module")
def pages(site):
    return read(site)


def test_every_link_leads_somewhere_and_nothing_comes_from_outside(site, pages):
    wrong = {name: list(broken(site, pages, name)) for name in pages}
    assert {name: words for name, words in wrong.items() if words} == {}


def test_broken_links_are_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html">b</a><a href="#x">x</a><img src="https://example.org/a.png"><a '
        'href="http://example.org">e</a>'
        '<a id="y" href="a.html#y">y</a><a href="https://example.org">e</a>'
    )
    assert len(list(broken(tmp_path, read(tmp_path), "a.html"))) == 4


def test_every_command_and_option_is_described(site):
    text = (site / "commands.html").read_text("utf-8")
    with click.Context(cli, info_name="genzoo") as context:
        for name in COMMANDS:
            command = cli.get_command(context, name)
            assert f'id="genzoo-{name}"' in text, name
            for option in command.params:
                words = [word for word in option.opts if word.startswith("--")]
                assert all(f'id="cmdoption-genzoo-{name}-{word.lstrip("-")}"' in text for word in words), (
                    name,
                    words,
                )


def test_everything_public_is_in_the_reference(site):
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    known = {name for kind, entries in inventory.data.items() if kind.startswith("py:") for name in entries}
    for room in ("", ".models", ".training", ".evaluation", ".data", ".testing", ".ledger", ".hub"):
        package = importlib.import_module(f"genzoo{room}")
        for name in package.__all__:
            found = getattr(package, name)
            home = getattr(found, "__module__", None)
            if callable(found) and home and home.startswith("genzoo"):
                own = getattr(found, "__qualname__", name)  # an object has only the name that it is given
                assert f"{home}.{own}" in known, f"{package.__name__}.{name}"


def test_every_published_model_is_in_gallery_and_scoreboard(site, pages):
    board = (site / "scoreboard.html").read_text("utf-8")
    for card in genzoo.cards():
        if card.has_weights and card.family.value != "classifier":
            assert re.sub(r"[^a-z0-9]+", "-", card.name) in pages["gallery.html"].ids
            assert any(f"/{card.name}-" in picture for picture in pages["gallery.html"].fetched)
            assert f">{card.name}<" in board


def test_every_tutorial_can_be_downloaded_as_a_notebook_that_ran(site, pages):
    import nbformat

    for page in (ROOT / "docs" / "tutorials").glob("[0-9]*.md"):
        name = f"tutorials/{page.stem}.html"
        (target,) = {link for link in pages[name].links if link.endswith(".ipynb")}
        book = nbformat.read(site / urljoin(name, target), as_version=4)
        ran = [cell for cell in book.cells if cell.cell_type == "code"]
        assert ran and any(cell.outputs for cell in ran), name
        assert (site / "_sources" / "tutorials" / f"{page.stem}.md.txt").is_file()


def test_pages_that_run_show_no_error(site):
    for page in site.rglob("*.html"):
        assert "Traceback (most recent call last)" not in page.read_text("utf-8"), page


def test_nothing_names_the_machine(site):
    for page in site.rglob("*.html"):
        assert str(Path(__file__).resolve().parents[2]) not in page.read_text("utf-8"), page
