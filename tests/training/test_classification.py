"""The classification game: labels that belong to their images, and data that have none."""

import class_toys
import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from genzoo.data import Images, batch_indices
from genzoo.errors import ArgumentError, DataError
from genzoo.games import Classification
from genzoo.rng import generator
from genzoo.testing import check_game
from genzoo.training import Batch, players
from genzoo.training.augment import color, translation
from genzoo.training.hardware import choose
from genzoo.training.loader import Loader
from genzoo.training.parallel import World


def feed(data, world=None):
    recipe = class_toys.RECIPE.replace(batch_size=32)
    return Loader(data, recipe, world or World(), choose(recipe, "cpu"), {"labels"})


def test_labels_are_those_of_the_images(digits):
    """Labels that can be read from the images: a batch beside the labels of another would be seen."""
    marked = Images(
        pixels=np.repeat(np.arange(200, dtype=np.uint8), 64).reshape(200, 1, 8, 8), labels=np.arange(200)
    )
    for number in (0, 5, 6, 7):  # the epoch ends within batch 6
        batch = feed(marked)(number)
        images, labels = batch.images, batch.labels
        assert labels.dtype == torch.int64 and torch.equal((images[:, 0, 0, 0] * 255).round().long(), labels)
    assert torch.equal(
        feed(digits)(3).labels,
        torch.from_numpy(digits.labels[batch_indices(len(digits), 32, 3, 0)].astype(np.int64)),
    )
    assert feed(digits.replace(labels=None))(0).labels is None


def test_ranks_share_the_labels_as_they_share_the_images(digits):
    parts = [feed(digits, World(rank, 4))(5).labels for rank in range(4)]
    assert torch.equal(torch.cat(parts), feed(digits)(5).labels)


def test_the_loss_is_the_cross_entropy():
    model, x, labels = class_toys.net(), torch.rand(5, 1, 8, 8), torch.arange(5)
    (player,) = players(model, class_toys.RECIPE)
    assert (player.name, player.classes, player.average) == ("model", 10, True)
    found = player.loss(Batch(x, labels), generator(0))
    torch.testing.assert_close(found, cross_entropy(model.head(model.net(x)), labels))
    torch.testing.assert_close(found, -model.log_probs(x)[range(5), labels].mean())


def test_augmented_images_keep_their_labels():
    model, x, labels = class_toys.net(), torch.rand(5, 1, 8, 8), torch.arange(5)
    recipe = class_toys.RECIPE.replace(game=Classification(augment=("translation", "color")))
    (player,) = players(model, recipe)
    found = player.loss(Batch(x, labels), generator(0))
    rng = generator(0)
    seen = color(translation(x, rng), rng)  # in the order of the recipe
    torch.testing.assert_close(found, cross_entropy(model.head(model.net(seen)), labels))
    plain = players(model, class_toys.RECIPE)[0].loss(Batch(x, labels), generator(0))
    assert not torch.isclose(found, plain)


def test_its_game_keeps_the_laws():
    check_game(class_toys.net(), class_toys.RECIPE)


def played(run):
    losses = [float(run.play_round()["model"]) for _ in range(run.recipe.steps - run.step)]
    return losses, run.model.state_dict()


def test_it_learns_and_a_resumed_run_sees_the_same_labels(start, tmp_path):
    losses, whole = played(
        start(class_toys.net(), tmp_path / "whole", steps=60, batch_size=64, lr={"all": 1e-2})
    )
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])
    half = start(class_toys.net(), tmp_path / "half", steps=60, batch_size=64, lr={"all": 1e-2})
    for _ in range(25):
        half.play_round()
    half.save()
    again = start(class_toys.net(1), tmp_path / "half", steps=60, batch_size=64, lr={"all": 1e-2})
    again.resume()
    rest, resumed = played(again)
    assert rest == losses[25:] and all(torch.equal(value, whole[key]) for key, value in resumed.items())


def test_data_that_do_not_suit_are_refused_before_anything_is_trained(start, digits):
    with pytest.raises(DataError, match="digits has no labels, but the player 'model' learns from them"):
        start(class_toys.net(), data=digits.replace(labels=None))
    with pytest.raises(
        ArgumentError, match="labels of digits run from 0 to 9, but 4 classes need 0 to 3 — --set classes=10"
    ):
        start(class_toys.net(classes=4))
    for shift, told in (
        (1, "run from 1 to 10, but 10 classes need 0 to 9 — count them from 0: labels - 1"),
        (-1, "run from -1 to 8, but 10 classes need 0 to 9 — numpy.unique"),
    ):
        with pytest.raises(ArgumentError, match=told):
            start(class_toys.net(), data=digits.replace(labels=digits.labels + shift, class_names=()))
    with pytest.raises(DataError, match="learns from them — no labels: labels must be"):
        start(
            class_toys.net(),
            data=digits.replace(labels=None, facts={"labels": "no labels: labels must be whole"}),
        )
