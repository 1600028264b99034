"""The game of pix2pix: both losses by hand, what is trained, and pairs that stay pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from genzoo_translate.options import Cycle, Paired
from genzoo_translate.paired_game import PairedGame
from genzoo_translate.pix2pix import Pix2Pix, Pix2PixConfig, paired_players
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from genzoo import Recipe
from genzoo.data import Images
from genzoo.errors import ArgumentError, TrainingError
from genzoo.losses import lsgan, minimax
from genzoo.rng import Rng, generator
from genzoo.testing import check_game
from genzoo.training import Batch, players
from genzoo.training.hardware import choose
from genzoo.training.loader import Loader
from genzoo.training.loop import Run

SHAPE = (3, 8, 8)


def tiny(**config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        chosen = {"width": 4, "widest": 8, "judge_width": 4, "patch_layers": 1, "dropout": 0.0, **config}
        return Pix2Pix(Pix2PixConfig(**{"source_shape": SHAPE, "image_shape": SHAPE, **chosen}))


def batch(n=3):
    images, source = Rng(0, 0, 2 * n).uniform(*SHAPE).float().split(n)
    return Batch(images, condition=source)


def game_of(kind=PairedGame, model=None, **options):
    model = model or tiny()
    return kind(model.generator, model.discriminator, Paired(**options)), model


def noise():
    return generator("test")


def judged(model, given, images):
    return model.discriminator(torch.cat([2 * given.condition - 1, images], 1))


class Whole(PairedGame):
    """D's loss not halved."""

    def discriminator_loss(self, batch, rng):
        return 2 * super().discriminator_loss(batch, rng)


class Squared(PairedGame):
    """MSE for the cross-entropy."""

    def discriminator_loss(self, batch, rng):
        fake = self._translated(batch, rng)
        real = lsgan.real(self._judged(batch, 2 * batch.images - 1)).mean()
        return (real + lsgan.fake(self._judged(batch, fake)).mean()) / 2


class Averaged(PairedGame):
    """D's outputs averaged over the map before the loss."""

    def _judged(self, batch, target):
        return super()._judged(batch, target).mean((2, 3), keepdim=True)


class Unconditional(PairedGame):
    """D does not see the source."""

    def _judged(self, batch, target):
        return super()._judged(
            dataclasses.replace(batch, condition=torch.zeros_like(batch.condition)), target
        )


class Attached(PairedGame):
    """D's loss reaches G."""

    def discriminator_loss(self, batch, rng):
        fake = self._translated(batch, rng)
        real = minimax.real(self._judged(batch, 2 * batch.images - 1)).mean()
        return (real + minimax.fake(self._judged(batch, fake)).mean()) / 2


class UnitRange(PairedGame):
    """L1 of images in [0, 1], half of the paper's."""

    def generator_loss(self, batch, rng):
        fake = self._translated(batch, rng)
        near = (fake / 2 + 0.5 - batch.images).abs().mean()
        return self.options.l1 * near + minimax.non_saturating(self._judged(batch, fake)).mean()


class SquaredError(PairedGame):
    """L2 for L1."""

    def generator_loss(self, batch, rng):
        fake = self._translated(batch, rng)
        near = mse_loss(fake, 2 * batch.images - 1)
        return self.options.l1 * near + minimax.non_saturating(self._judged(batch, fake)).mean()


def check_discriminator(kind):
    """½ (BCE of real pairs against 1 + BCE of made pairs against 0), patch by patch; nothing of it is G's."""
    game, model = game_of(kind)
    # outputs far from 0, where the losses differ
    torch.nn.init.normal_(model.discriminator.net[-1].weight, std=3, generator=noise())
    given = batch()
    loss = game.discriminator_loss(given, noise())
    with torch.no_grad():
        fake = model.generator(2 * given.condition - 1, Rng(0, 0, 3))
    real, false = judged(model, given, 2 * given.images - 1), judged(model, given, fake)
    assert real.shape[1] == 1 and real.shape[2] > 1
    by_hand = [
        binary_cross_entropy_with_logits(found, torch.full_like(found, wanted))
        for found, wanted in ((real, 1.0), (false, 0.0))
    ]
    assert loss.item() == pytest.approx(sum(by_hand).item() / 2, rel=1e-5)
    slopes = torch.autograd.grad(loss, list(model.generator.parameters()), allow_unused=True)
    assert all(slope is None for slope in slopes)


def check_generator(kind):
    """BCE of made pairs against 1, and λ times the mean absolute error in [-1, 1]."""
    game, model = game_of(kind)
    given = batch()
    loss = game.generator_loss(given, noise())
    fake = model.generator(2 * given.condition - 1, Rng(0, 0, 3))
    numbers = judged(model, given, fake)
    adversarial = binary_cross_entropy_with_logits(numbers, torch.ones_like(numbers))
    near = (fake - (2 * given.images - 1)).abs().mean()
    assert loss.item() == pytest.approx((adversarial + 100 * near).item(), rel=1e-5)


BUGS = {
    Whole: check_discriminator,
    Squared: check_discriminator,
    Averaged: check_discriminator,
    Unconditional: check_discriminator,
    Attached: check_discriminator,
    UnitRange: check_generator,
    SquaredError: check_generator,
}


class TestLosses:
    def test_of_the_discriminator(self):
        check_discriminator(PairedGame)

    def test_of_the_generator(self):
        check_generator(PairedGame)

    @pytest.mark.parametrize("kind", BUGS, ids=lambda kind: kind.__name__)
    def test_a_bug_would_be_seen(self, kind):
        with pytest.raises(AssertionError):
            BUGS[kind](kind)

    @pytest.mark.parametrize(("l1", "adversarial"), [(0.0, 1.0), (100.0, 0.0), (7.0, 3.0)])
    def test_the_ablation_of_the_paper_is_two_weights(self, l1, adversarial):
        game, model = game_of(l1=l1, adversarial=adversarial)
        given = batch()
        fake = model.generator(2 * given.condition - 1, Rng(0, 0, 3))
        near = (fake - (2 * given.images - 1)).abs().mean()
        fooled = minimax.non_saturating(judged(model, given, fake)).mean()
        expected = l1 * near + adversarial * fooled
        assert game.generator_loss(given, noise()).item() == pytest.approx(expected.item(), rel=1e-5)

    def test_both_weights_at_0_are_refused(self):
        with pytest.raises(ArgumentError, match="nothing is left to learn"):
            Paired(l1=0, adversarial=0)


class TestTurns:
    def test_g_continues_from_the_translations_of_ds_turn(self):
        game, _ = game_of(model=tiny(dropout=0.5))
        given = batch()
        game.discriminator_loss(given, noise())
        shown = game.shown[1]
        game.generator_loss(given, generator("another"))
        assert torch.equal(game.shown[1], shown)
        game.generator_loss(given, generator("another"))
        assert not torch.equal(game.shown[1], shown)  # used up: drawn anew

    def test_training_draws_dropout_from_the_noise_of_the_turn(self):
        game, _ = game_of(model=tiny(dropout=0.5))
        losses = [game.generator_loss(batch(), generator(seed)).item() for seed in (0, 0, 1)]
        assert losses[0] == losses[1] != losses[2]

    def test_l1_alone_has_one_player(self):
        for weight, names in ((1.0, ["discriminator", "generator"]), (0.0, ["generator"])):
            found = players(tiny(), Recipe(game=Paired(adversarial=weight)))
            assert [player.name for player in found] == names and found[0].fresh

    def test_it_passes_the_laws_of_games_in_every_form(self):
        for options in (Paired(), Paired(l1=0), Paired(adversarial=0)):
            check_game(tiny(dropout=0.5), Recipe(game=options))

    def test_options_of_another_game_are_refused(self):
        with pytest.raises(TrainingError, match="takes Paired"):
            players(tiny(), Recipe(game=Cycle()))
        assert [p.name for p in paired_players(tiny(), Recipe())] == ["discriminator", "generator"]


@pytest.fixture
def start(tmp_path):
    def start(data, model=None, **recipe):
        chosen = Recipe(**{"batch_size": 4, "precision": "fp32", "lr": {"all": 2e-3}, "steps": 40, **recipe})
        return Run(model or tiny(), chosen, data, choose(chosen, "cpu"), tmp_path)

    return start


def pairs(n=12, **changes):
    pixels = np.random.default_rng(0).integers(0, 256, (n, *SHAPE), dtype=np.uint8)
    return Images(**{"pixels": pixels, "source": pixels, "name": "pairs", "split": "train", **changes})


class OwnCoins(Loader):
    """The source is flipped and shifted with coins of its own."""

    def _condition(self, number, indices):
        varied = self._varied
        self._varied = lambda images, number: varied(images, number, "source ")
        try:
            return super()._condition(number, indices)
        finally:
            del self._varied


class StillSource(Loader):
    """The image alone is flipped and shifted."""

    def _condition(self, number, indices):
        self._varied = lambda images, number: images
        try:
            return super()._condition(number, indices)
        finally:
            del self._varied


class StillImage(Loader):
    """The source alone is flipped and shifted."""

    def _images(self, number):
        self._varied = lambda images, number: images
        try:
            return super()._images(number)
        finally:
            del self._varied


def check_coins(start, kind=Loader, **jitter):
    """Flips and shifts have one coin for both of a pair."""
    run, seen = start(pairs(), **jitter), []
    run.feed = kind(run.data, run.recipe, run.world, run.settings, run.feed.needs, run.model.condition)
    loss = PairedGame.discriminator_loss
    game = run.players[0].loss.__self__
    object.__setattr__(
        run.players[0], "loss", lambda given, rng: seen.append(given) or loss(game, given, rng)
    )
    for _ in range(6):
        run.play_round()
    plain = torch.from_numpy(np.array(pairs().pixels)).float() / 255
    for given in seen:
        assert torch.equal(given.images, given.condition)
    moved = [not any(torch.equal(row, known) for known in plain) for g in seen for row in g.images]
    assert len(moved) == 24 and sum(moved) > 6  # a flip leaves every second as it is


class TestRuns:
    @pytest.mark.parametrize("jitter", [{"flip": True}, {"shift": 3}, {"flip": True, "shift": 3}], ids=str)
    def test_flips_and_shifts_have_one_coin_for_both_of_a_pair(self, start, jitter):
        check_coins(start, **jitter)

    @pytest.mark.parametrize("jitter", [{"flip": True}, {"shift": 3}], ids=str)
    @pytest.mark.parametrize("kind", [OwnCoins, StillSource, StillImage])
    def test_a_pair_moved_on_one_side_only_would_be_seen(self, start, kind, jitter):
        with pytest.raises(AssertionError):
            check_coins(start, kind, **jitter)

    def test_l1_falls_when_targets_follow_from_sources(self, start):
        source = np.random.default_rng(1).integers(0, 256, (16, *SHAPE), dtype=np.uint8)
        data = pairs(pixels=255 - source, source=source)
        run = start(data, batch_size=8, game=Paired(adversarial=0), lr={"all": 1e-2})
        losses = [float(run.play_round()["generator"]) for _ in range(40)]
        assert sum(losses[-5:]) < 0.8 * sum(losses[:5])

    def test_data_without_sources_are_refused(self, start):
        with pytest.raises(Exception, match=r"single images, but this model takes a picture, map → photo"):
            start(pairs(source=None)).play_round()
