"""An experiment as a file: what its cells are, and what it may not say."""

from __future__ import annotations

import pytest
from torch import nn

from genzoo import Adversarial, zoo
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.evaluation import METRICS
from genzoo.experiments.plan import cells, flat, names, read
from genzoo.layers import SpectralNorm
from genzoo.training.plan import plan
from genzoo.training.players import players
from genzoo.training.train import build

FILE = """
title = "A and B"
data = "digits"
budget = 60
seeds = 2
[settings]
lr = 1e-3
ema = 0.5
[rows.plain]
[rows."No norm!"]
norm = "none"
lr = 2e-3
[columns.one]
[columns.two]
model = "wgan"
turns.discriminator = 5
lr = 3e-3
betas = [0.0, 0.9]
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "some.toml").write_text(text)
        return str(tmp_path / "some.toml")

    return write


def test_every_row_with_every_column_and_seed(write):
    found = list(cells(read(write(FILE))))
    assert [(cell.row, cell.column, cell.seed) for cell in found] == [
        (row, column, seed) for row in ("plain", "No norm!") for column in ("one", "two") for seed in (0, 1)
    ]
    assert found[-1].name == "no-norm--two--1" and {cell.model for cell in found} == {"dcgan", "wgan"}


def test_a_column_wins_over_a_row_and_a_row_over_all(write):
    by_name = {cell.name: cell for cell in cells(read(write(FILE)))}
    rates = [
        by_name[name].settings["lr"]
        for name in ("plain--one--0", "no-norm--one--0", "plain--two--0", "no-norm--two--0")
    ]
    assert rates == [1e-3, 2e-3, 3e-3, 3e-3]
    assert by_name["no-norm--two--1"].settings == {
        "seed": 1,
        "validation": True,
        "lr": 3e-3,
        "ema": 0.5,
        "norm": "none",
        "turns.discriminator": 5,
        "betas": (0.0, 0.9),
    }


def test_the_budget_counts_turns(write):
    steps = {cell.column: cell.steps for cell in cells(read(write(FILE)))}
    assert steps == {"one": 30, "two": 10}


def test_of_the_players_that_are_there(write):
    (cell,) = cells(read(write('title = "t"\ndata = "digits"\nbudget = 50\nplayers = ["model"]')))
    assert cell.steps == 50


def test_changes_of_the_command_line(write):
    changed = read(write(FILE), {"seeds": 1, "budget": 12, "data": None, "settings": {"ema": 0.9}})
    found = list(cells(changed))
    assert len(found) == 4 and changed.data == "digits"
    assert found[0].steps == 6 and found[0].settings["ema"] == 0.9 and found[0].settings["lr"] == 1e-3


def test_one_row_or_none_will_do(write):
    (cell,) = cells(read(write('title = "t"\ndata = "digits"')))
    assert (cell.name, cell.steps) == ("all--all--0", 3000)


def test_tables_in_tables_are_keys_again():
    assert flat({"lr": {"all": 1.0, "generator": 2.0}, "betas": [0.0, 0.9]}) == {
        "lr.all": 1.0,
        "lr.generator": 2.0,
        "betas": (0.0, 0.9),
    }


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("title = ", ArgumentError, "cannot be read"),
        ('data = "digits"', ArgumentError, "the key 'title' is missing"),
        ('title = "t"\ndata = "digits"\nbugdet = 5', UnknownNameError, "did you mean 'budget'"),
        ('title = "t"\ndata = "digits"\nbudget = 0', ArgumentError, "budget must lie between 2"),
        ('title = "t"\ndata = "digits"\nrows = 3', ArgumentError, "rows must be a table"),
        ('title = "t"\ndata = "digits"\nsettings = 3', ArgumentError, "settings must be a table"),
        ('title = "t"\ndata = "digits"\nrows.a = 3', ArgumentError, "rows.a must be a table"),
        ('title = "t"\ndata = "digits"\nfigure = "x"', ArgumentError, "figure must be one of"),
    ],
)
def test_what_a_file_may_not_say(write, text, kind, told):
    with pytest.raises(kind, match=told):
        read(write(text))


def test_two_names_for_one_folder(write):
    with pytest.raises(ArgumentError, match="two cells would use the same folder a-b--all--0"):
        list(cells(read(write('title = "t"\ndata = "digits"\n[rows."a b"]\n[rows."A-B"]'))))


def test_an_experiment_that_is_not_there():
    with pytest.raises(
        UnknownNameError, match="there is no experiment 'saturatoin'; did you mean 'saturation'"
    ) as caught:
        read("saturatoin")
    assert "architectures" in caught.value.hint


SMALL = {  # the smallest nets that there are of each
    "facades": {"width": 2, "image_shape": (3, 16, 16)},
    "matching": {"width": 4, "discriminator_width": 4, "image_shape": (3, 16, 16)},
}


@pytest.mark.parametrize("name", names())
def test_those_that_come_with_genzoo_can_be_trained(name):
    """Every key is known, every metric measured, every recipe accepted by the game of its nets; the budget
    counts its players."""
    experiment = read(name)
    assert set(experiment.metrics) <= set(METRICS)
    found = []
    for cell in cells(experiment):
        if cell.seed == 0:
            card = zoo.info(cell.model)
            shape = ("image_size", "channels")
            settings = {key: value for key, value in cell.settings.items() if key not in shape}
            small = SMALL.get(name, {"width": 4, "image_shape": (1, 8, 8)})
            recipe, config = plan(card, {**settings, **small}, steps=cell.steps)
            found.append({player.name for player in players(build(card, config, recipe), recipe)})
    assert set().union(*found) == set(experiment.players)
    # L1 alone has no D, and plays as many rounds as the others
    alone = [names for names in found if names != set(experiment.players)]
    assert alone == ([{"generator"}] if name == "facades" else [])


def settings_of(name, *keys):
    """The values of `keys` in the cells of an experiment, by place in its table."""
    return {
        (cell.row, cell.column): tuple(cell.settings.get(key) for key in keys) for cell in cells(read(name))
    }


def test_the_ablations_of_the_papers_of_2016_and_2017():
    assert settings_of("facades", "adversarial", "l1") == {
        ("L1", ""): (0, None),
        ("GAN", ""): (None, 0),
        ("L1 + GAN", ""): (None, None),
    }
    assert sorted(map(str, settings_of("matching", "matching", "interpolate").values())) == sorted(
        map(str, [(None, None), (None, False), (False, None), (False, False)])
    )
    assert [*settings_of("gamma", "gamma").values()] == [(0.3,), (0.5,), (0.7,)]
    for name in ("facades", "matching", "gamma"):
        assert len({cell.steps for cell in cells(read(name))}) == 1  # G moves equally often in each


def test_the_games_differ_in_loss_penalty_and_norm_of_d_alone():
    keys = ("objective", "discriminator_norm", "penalty_kind", "gp_weight", "betas")
    assert {column: found for (_, column), found in settings_of("games", *keys).items()} == {
        "non-saturating": (None, None, None, None, None),
        "hinge, spectral": ("hinge", "spectral", None, None, None),
        "R1": (None, "none", "r1", 2.5, (0.0, 0.99)),
        "R3GAN": ("relativistic", "none", "r1-r2", 0.25, (0.0, 0.99)),
    }
    found = list(cells(read("games")))
    shared = [{key: value for key, value in cell.settings.items() if key not in keys} for cell in found]
    assert all(settings == shared[0] for settings in shared) and {cell.steps for cell in found} == {3000}


def test_the_matrix_has_the_architectures_and_objectives_of_the_paper():
    experiment = read("architectures")
    assert list(experiment.rows) == [
        "DCGAN",
        "no batch norm",
        "few filters",
        "MLP generator",
        "tanh everywhere",
        "deep",
    ]
    assert {column.get("objective") for column in experiment.columns.values()} >= {
        "minimax",
        "non-saturating",
        "lsgan",
        "wasserstein",
        "hinge",
        "relativistic",
    }
    turns = {
        cell.steps * (1 + int(cell.settings.get("turns.discriminator", 1))) for cell in cells(experiment)
    }
    assert turns == {experiment.budget}


@pytest.mark.parametrize(
    ("column", "penalised", "normed"), [("hinge, spectral", False, True), ("R3GAN", True, False)]
)
def test_the_later_columns_of_the_matrix_hold_d_by_their_own_means_in_every_row(column, penalised, normed):
    """By a norm of weights, or by penalties of both kinds of image: whatever the row says of norms."""
    shown = [cell for cell in cells(read("architectures")) if cell.column == column]
    assert len(shown) == 6
    for cell in shown:
        card = zoo.info(cell.model)
        recipe, config = plan(card, {**cell.settings, "width": 4, "image_shape": (1, 8, 8)}, steps=cell.steps)
        net = build(card, config, recipe)
        assert (recipe.options(Adversarial).penalty_kind == "r1-r2") is penalised
        layers = list(net.discriminator.modules())
        assert any(isinstance(layer, SpectralNorm) for layer in layers) is normed
        assert not any(isinstance(layer, nn.BatchNorm2d | nn.GroupNorm) for layer in layers)


@pytest.mark.parametrize(
    "text",
    [
        '[settings]\nobjective = "os.path:join"',
        '[settings]\naugment = ["color", "os.path:join"]',
        '[settings.optimizer]\ngenerator = "os.path:join"',
        '[rows.odd]\nobjective = "os.path:join"',
    ],
)
def test_a_file_cannot_name_code(write, text):
    with pytest.raises(ArgumentError, match=r"names code to be imported, 'os.path:join'.*--set"):
        read(write(f'title = "t"\ndata = "digits"\n{text}'))
    allowed = read(write('title = "t"\ndata = "digits"'), {"settings": {"objective": "os.path:join"}})
    assert allowed.settings == {"objective": "os.path:join"}  # typed by a person
