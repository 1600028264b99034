"""The seventeen hacks: the list, its defaults, and what a model's recipe and config say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
from genzoo_dcgan.dcgan import DCGANConfig

from genzoo import Adversarial, Card, Family, Labels, Recipe
from genzoo.cli.info import setting_words
from genzoo.hacks import HACKS, WHERE, hack
from genzoo.recipe import keys_of
from genzoo.schema import literal, parse

PAGE = Path(__file__).resolve().parent.parent / "docs" / "hacks.md"


def by_key(recipe, key):
    """Return the value of a recipe at `turns.discriminator`, `optimizer`, `watch`, …"""
    table, _, player = key.partition(".")
    value = keys_of(recipe, Adversarial())[table]
    return value.get(player or "all", value.get("all", 1)) if isinstance(value, Mapping) else value


def with_key(key, value):
    table, _, player = key.partition(".")
    held = {"all": value} if table == "optimizer" and not player else {player: value} if player else value
    of_game = table in {field.name for field in dataclasses.fields(Adversarial)}
    return (
        Recipe(game=parse(Adversarial, {table: held}, "recipe"))
        if of_game
        else parse(Recipe, {table: held}, "recipe")
    )


def test_all_seventeen_are_there_in_order_under_names_of_their_own():
    assert sorted({each.number for each in HACKS}) == list(range(1, 18))
    assert [each.number for each in HACKS] == sorted(each.number for each in HACKS)
    assert len({each.name for each in HACKS}) == len(HACKS)
    assert hack("replay").number == 8


@pytest.mark.parametrize("each", HACKS, ids=lambda each: each.name)
def test_each_says_what_it_is(each):
    assert each.where in WHERE and each.words and each.words.isprintable()
    assert bool(each.key) == bool(each.default) == bool(each.on) == (each.where in ("recipe", "config"))
    assert (each.is_on is not None) == (each.where in ("recipe", "config", "card"))


@pytest.mark.parametrize(
    "each", [each for each in HACKS if each.where == "recipe"], ids=lambda each: each.name
)
def test_a_switch_of_the_recipe(each):
    """The default is the recipe's own, and the value that is told switches it on."""
    usual = by_key(Recipe(), each.key)
    assert each.default == (f"{usual:g}" if isinstance(usual, float) else setting_words(usual))
    assert each.state(Recipe(), {}) == ("on" if each.default == each.on else "off")
    assert each.state(with_key(each.key, literal(each.on)), {}) == "on"
    assert each.state(None, {}) == each.state(Recipe(), {})


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("non-saturating", {"game": Adversarial(objective="minimax")}),
        ("watch", {"watch": False}),
        ("adam", {"optimizer": {"all": "sgd"}}),
    ],
)
def test_what_is_on_by_itself_can_be_off(name, off):
    assert hack(name).state(Recipe(**off), {}) == "off"


@pytest.mark.parametrize(
    "each", [each for each in HACKS if each.where == "config"], ids=lambda each: each.name
)
def test_a_switch_of_the_config(each):
    usual = {field.name: field.default for field in dataclasses.fields(DCGANConfig)}[each.key]
    assert each.default == (f"{usual:g}" if isinstance(usual, float) else setting_words(usual))
    parse(DCGANConfig, {each.key: literal(each.on)}, "config")
    assert each.state(Recipe(), {}) == "off" and each.state(Recipe(), {each.key: literal(each.on)}) == "on"


def test_what_a_card_states():
    plain = Card(name="plain", family=Family.IMPLICIT, model="toys:ToyGAN")
    labels = plain.replace(condition=Labels(("cat", "dog")))
    states = [hack("embedded-conditions").state(None, card.stated) for card in (plain, labels)]
    assert states == ["off", "on"]


def test_what_nobody_switches():
    assert hack("separate-batches").state(Recipe(), {}) == "always"
    assert hack("noise-in-g").state(Recipe(), {}) == "absent"


def test_words_of_a_switch():
    assert str(hack("soft-labels")) == "hack 6, soft-labels (--set soft_labels=0.3)"
    assert str(hack("fixed-turns")) == "hack 11, fixed-turns"


def test_the_page_has_the_list_as_the_command_tells_it():
    rows = [
        line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and line[2].isdigit()
    ]
    expected = []
    for each in HACKS:
        switch = f"`{each.key}={each.on}`" if each.key else each.where
        default = f"`{each.default}`" if each.default else ""
        expected.append(
            f"| {each.number} | {each.name} | {switch} | {default} | {each.words} | {each.source} |"
        )
    assert rows == expected
