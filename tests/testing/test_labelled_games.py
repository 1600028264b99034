"""Laws of games with labels: a conditional GAN keeps them, and one that mixes up its rows does not."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus
from toys import recipe_of

from genzoo import Recipe
from genzoo.testing import LawError, check_game
from genzoo.training import Player, players

CLASSES = 3
LABELS = frozenset({"labels"})


def conditional(kinds):
    """The GAN of the tests, whose discriminator is also told the class, and whose generator is asked for one
    (by the first numbers of z)."""

    class Conditional(kinds.game):
        def __init__(self, config):
            super().__init__(config)
            self.classes = nn.Embedding(CLASSES, 24)

        def judge(self, x, labels):
            told = self.classes.weight[labels].unflatten(1, self.image_shape)
            return self._discriminate(x + told)

    return Conditional


def game_of(model, order=lambda labels: labels):
    """The two players; `order` is what becomes of the labels on their way to the real images."""
    judge = nn.ModuleList([model.discriminator, model.classes])

    def drawn(batch, noise):
        z = torch.randn(len(batch), model.latent_size, generator=noise)
        one_hot = nn.functional.one_hot(batch.get("labels"), model.latent_size).float()
        return model._decode(z + one_hot)

    def discriminator(batch, noise):
        labels, fake = batch.get("labels"), drawn(batch, noise).detach()
        real = model.judge(batch.images, order(labels))
        return softplus(-real).mean() + softplus(model.judge(fake, labels)).mean()

    def generator(batch, noise):
        return softplus(-model.judge(drawn(batch, noise), batch.get("labels"))).mean()

    shared = {"needs": LABELS, "classes": CLASSES}
    return [
        Player(name="discriminator", module=judge, loss=discriminator, **shared),
        Player(name="generator", module=model.generator, loss=generator, fresh=False, **shared),
    ]


@pytest.fixture
def check(kinds, made):
    """check(play): hold the conditional GAN to its laws, with these players."""

    def run(play):
        cls = conditional(kinds)
        players.register(cls, lambda model, recipe: play(model))
        check_game(made(cls), Recipe())

    return run


def test_a_conditional_game_keeps_the_laws(check):
    check(game_of)


@pytest.mark.parametrize(
    "order", [lambda labels: labels.roll(1), lambda labels: labels.flip(0)], ids=["the next's", "reversed"]
)
def test_labels_of_other_rows_are_seen(check, order):
    with pytest.raises(LawError, match="a label affects the image of its own row alone"):
        check(lambda model: game_of(model, order))


def test_labels_that_are_not_heeded_are_seen(check):
    def deaf(model):
        d, g = game_of(model)
        return [dataclasses.replace(d, loss=lambda batch, noise: model._discriminate(batch.images).mean()), g]

    with pytest.raises(LawError, match="a player that needs labels learns from them"):
        check(deaf)


def test_labels_that_teach_the_discriminator_alone_keep_the_laws(kinds, made):
    check_game(made(kinds.game), recipe_of(classes=CLASSES))
