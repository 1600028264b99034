"""`genzoo new-plugin`: a package that can be installed, tested, trained and published as it stands, to be
changed from there.
"""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from types import MappingProxyType

import click

from genzoo import __version__
from genzoo.card import Family, check_name, fold
from genzoo.cli.options import command
from genzoo.cli.output import note, say
from genzoo.errors import ArgumentError, StorageError, safe_text
from genzoo.files import make_folder, storage
from genzoo.hookspecs import API_VERSION
from genzoo.names import OFFICIAL
from genzoo.registry import installed

PREFIX = "genzoo-"
LICENCES = ("MIT", "BSD-3-Clause", "Apache-2.0", "none")


@dataclass(frozen=True)
class Kind:
    """What a package says of the model that it begins with."""

    summary: str
    paper: str
    recipe: str
    next_step: str


KINDS: Mapping[Family, Kind] = MappingProxyType(
    {
        Family.TRACTABLE: Kind(
            "A masked network with an exact likelihood",
            "Germain et al. 2015, arXiv:1502.03509",
            'steps=1_500, batch_size=64, lr={"all": 2e-3}, lr_decay=0.5',
            "Write your own network in `_predict`: entry (c, h, w) of its output may depend on earlier "
            "pixels only. The laws check this.",
        ),
        Family.APPROXIMATE: Kind(
            "A small variational autoencoder",
            "Kingma & Welling 2014, arXiv:1312.6114",
            'steps=3_000, batch_size=64, lr={"all": 1e-3}, lr_decay=0.5',
            "Write your own networks in `__init__`, and another likelihood of the pixels in `bound`. The "
            "laws check this.",
        ),
        Family.IMPLICIT: Kind(
            "A GAN of two small nets",
            "Goodfellow et al. 2014, arXiv:1406.2661",
            'steps=4_000, batch_size=64, lr={"all": 2e-4}, betas=(0.5, 0.999)',
            "Write your own networks in `__init__`. For a game other than the GAN's, register it beside the "
            "class.",
        ),
    }
)

CONDITIONS = ("labels",)
_CONDITION = """
            condition=Labels(tuple("0123456789")),  # the classes of the data, by name"""
PAPERS: Mapping[Family, str] = MappingProxyType(  # of the models that take labels
    {
        Family.TRACTABLE: KINDS[Family.TRACTABLE].paper,
        Family.APPROXIMATE: "Sohn, Lee & Yan 2015, NeurIPS",
        Family.IMPLICIT: "Mirza & Osindero 2014, arXiv:1411.1784",
    }
)


@command("new-plugin")
@click.argument("name")
@click.option(
    "--family",
    required=True,
    type=click.Choice([family.value for family in KINDS]),
    help="Family of the model to start with.",
)
@click.option(
    "--licence",
    "--license",
    "licence",
    type=click.Choice(LICENCES),
    default="none",
    show_default=True,
    help="Licence of the code.",
)
@click.option("--condition", type=click.Choice(CONDITIONS), help="What the model is given besides a seed.")
@click.option("--author", default="", help="Copyright holder.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder to create. Default: genzoo-NAME.")
def new_plugin_command(
    name: str, family: str, licence: str, condition: str | None, author: str, out: Path | None
) -> None:
    """Create a package with a model that trains.

    NAME is the name of the model; the package is called genzoo-NAME. It works as it is: install it, and its
    tests pass and genzoo lists the model.
    """
    model = check_free(name.removeprefix(PREFIX))
    folder = write(
        render(model, Family(family), licence, author, condition or ""),
        out or Path(PREFIX + model.replace(".", "-").replace("_", "-")),
    )
    say(safe_text(folder, 1000))
    # its tests need pytest, which genzoo does not bring
    tested = shlex.quote(f"{folder}[test]")
    where = shlex.quote(str(folder))
    note(
        safe_text(
            f"install and test it: pip install -e {tested} && python -m pytest {where}; then: genzoo "
            f"train {model}",
            2000,
        )
    )
    if licence == "none":
        note("the package grants no licence; choose one with --licence")


def check_free(name: str) -> str:
    """Return `name` if a new model and its package can be called so, or raise ArgumentError that says why
    not.
    """
    check_name(name)
    words = words_of(name)
    _check_words(name, words)
    owner = next(
        (
            owner
            for owner, names in OFFICIAL.items()
            if fold(name) in map(fold, (*names, owner.removeprefix(PREFIX)))
        ),
        "",
    )
    if fold(name) == PREFIX.rstrip("-") or owner:
        raise ArgumentError(
            f"the name {name!r} belongs to {owner or 'genzoo itself'}",
            "choose another name; punctuation and case make no difference",
        )
    known = installed()
    for card in known.cards.values():
        if fold(card.name) == fold(name):
            raise ArgumentError(
                f"the plugin {card.plugin} already has a model {card.name!r}",
                "choose another name, or uninstall it",
            )
    # Plugins that could not be loaded have no cards, but their names are taken all the same.
    for report in known.reports:
        if fold(PREFIX + name) == fold(report.distribution) or fold(name) == fold(report.name):
            raise ArgumentError(
                f"the plugin {report.distribution or report.name!r} is already installed",
                "choose another name, or uninstall it",
            )
    # A package that is not a plugin, or one whose metadata is missing, would be shadowed.
    if importlib.util.find_spec(words["package"]) is not None:
        raise ArgumentError(
            f"a package {words['package']!r} can already be imported", "choose another name, or uninstall it"
        )
    return name


def _check_words(name: str, words: Mapping[str, str]) -> None:
    """Raise ArgumentError unless Python takes the names of the module and the class."""
    taken = any(keyword.iskeyword(words[key]) for key in ("module", "class_name"))
    if taken or not name[0].isalpha():
        why = "is a Python keyword" if taken else "does not begin with a letter"
        raise ArgumentError(
            f"the name {name!r} {why}, and the package needs a module and a class of that name",
            f"for example my-{name}",
        )


def words_of(name: str) -> dict[str, str]:
    """Return how the model `name` is called as a module, a class, a package and a distribution."""
    parts = re.split(r"[._-]", name)
    module = "_".join(parts)
    return {
        "name": name,
        "module": module,
        "class_name": "".join(part.capitalize() for part in parts),
        "package": f"genzoo_{module}",
        "distribution": PREFIX + "-".join(parts),
    }


def render(
    name: str, family: Family, licence: str = "none", author: str = "", condition: str = ""
) -> dict[str, str]:
    """Return the files of a new package, path -> text; `name` is one that `check_free` let through.

    The model takes the `condition`, one of CONDITIONS, or none.
    """
    kind, words = KINDS[family], words_of(name)
    major, minor, *_ = __version__.split(".")
    facts = {
        **words,
        **_stated(kind, family, condition),
        "family": family.name,
        "family_name": family.value,
        "recipe": kind.recipe,
        # pyproject.toml needs some text here, and without a licence all rights are reserved.
        "licence": licence if licence != "none" else "Proprietary",
        "licence_line": "All rights reserved."
        if licence == "none"
        else f"The code is under the licence {licence}.",
        "holder": safe_text(author, 200) or f"The {words['distribution']} authors",
        # Below 1.0 every minor version may change the interface.
        "requirement": f"genzoo>={major}.{minor},<{major}.{int(minor) + 1}",
        "api": str(API_VERSION),
    }
    package = words["package"]
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "LICENSE": f"licence-{licence}",
        ".gitignore": "gitignore",
        f"{package}/__init__.py": "init.py",
        f"{package}/{words['module']}.py": "-".join(filter(None, (family.value, condition))) + ".py",
        "tests/test_laws.py": "test_laws.py",
        "tests/test_training.py": "test_training.py",
    }
    texts = {
        path: Template((files("genzoo.cli") / "kit" / f"{template}.txt").read_text("utf-8"))
        for path, template in templates.items()
    }
    return {path: text.substitute(facts) for path, text in texts.items()} | {f"{package}/py.typed": ""}


def _stated(kind: Kind, family: Family, condition: str) -> dict[str, str]:
    """Return what a package says of its model that depends on whether it takes labels."""
    if not condition:
        return {
            "summary": kind.summary,
            "paper": kind.paper,
            "next_step": kind.next_step,
            "imports": "Card, Family, Recipe, hookimpl",
            "condition": "",
            "given": "",
            "option": "",
        }
    return {
        "summary": f"{kind.summary}, given a label",
        "paper": PAPERS[family],
        "next_step": f"{kind.next_step} Name the classes of your data in the card's `Labels`.",
        "imports": "Card, Family, Labels, Recipe, hookimpl",
        "condition": _CONDITION,
        "given": ', condition="7"',
        "option": " --condition 7",
    }


def write(texts: Mapping[str, str], folder: Path) -> Path:
    """Write `texts` into the new `folder`, all or nothing, and return it.

    Raises:
        StorageError: something is there already, or it cannot be written.
    """
    if os.path.lexists(folder):
        raise StorageError(
            f"cannot create {folder}: a file or folder with that name already exists",
            "choose another with --out",
        )
    make_folder(folder.parent)
    # In the same folder, since a rename is one step only within a file system.
    draft = folder.parent / f".{os.urandom(8).hex()}.tmp"
    try:
        with storage("create", folder):
            for path, text in texts.items():
                (draft / path).parent.mkdir(parents=True, exist_ok=True)
                (draft / path).write_text(text, encoding="utf-8", newline="\n")
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
