"""Whole and broken: every way breaks the shape of an image and nothing else, and the game learns from it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from genzoo_features import breaking
from genzoo_features.wholeness import WholenessConfig, WholenessNet, whole_and_broken
from scipy.ndimage import correlate1d, map_coordinates
from torch.nn.functional import cross_entropy

import genzoo
from genzoo import Classification, Recipe
from genzoo.data import Images
from genzoo.evaluation import Request
from genzoo.evaluation.measures import measures
from genzoo.rng import generator
from genzoo.testing import check_game, laws
from genzoo.training import Batch, players

WAYS = {way.__name__: way for way in breaking.WAYS}

test_laws = laws("genzoo-features", "features-faces")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def faces(n=8, side=64, seed=0):
    """Return smooth pictures: a bright disk with two dark eyes, each of its own size and colour."""
    g = rng(seed)
    rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, side),) * 2, indexing="ij")
    size, colour = 0.5 + 0.3 * torch.rand(n, 1, 1, generator=g), torch.rand(n, 3, 1, 1, generator=g)
    disk = torch.sigmoid(12 * (size - (rows**2 + columns**2).sqrt()))
    eyes = sum(torch.exp(-60 * ((rows + 0.2) ** 2 + (columns - at) ** 2)) for at in (-0.25, 0.25))
    return (disk[:, None] * (0.4 + 0.6 * colour) * (1 - 0.8 * eyes)).clamp(0, 1)


def tiny(**config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return WholenessNet(WholenessConfig(image_shape=(3, 16, 16), **{"width": 4, **config})).eval()


@pytest.mark.parametrize("name", WAYS)
class TestWays:
    def test_every_image_is_broken(self, name):
        x = faces()
        found = WAYS[name](x, x.roll(1, 0), rng())
        assert found.shape == x.shape and found.isfinite().all()
        assert found.min() >= -1e-6 and found.max() <= 1 + 1e-6
        assert ((found - x).abs().amax((1, 2, 3)) > 0.1).all()

    def test_it_follows_the_seed_and_leaves_the_images_alone(self, name):
        x = faces()
        before = x.clone()
        first, again, other = (WAYS[name](x, x.roll(1, 0), rng(seed)) for seed in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)
        assert torch.equal(x, before)

    def test_flat_images_have_no_shape_to_break(self, name):
        """Nothing is drawn: what can be seen of a broken image was in the two that it is made of."""
        flat = torch.full((6, 3, 32, 32), 0.3)
        torch.testing.assert_close(WAYS[name](flat, flat, rng()), flat)

    def test_any_size(self, name):
        x = faces(4, side=16)[..., :12]
        assert WAYS[name](x, x.roll(1, 0), rng()).shape == (4, 3, 16, 12)


class TestWhatTheWaysDo:
    def test_halves_show_two_people(self):
        dark, bright = torch.zeros(20, 1, 64, 64), torch.ones(20, 1, 64, 64)
        share = breaking.halves(dark, bright, rng()).mean((1, 2, 3))
        assert (share > 0.25).all() and (share < 0.75).all()

    def test_blends_show_both_everywhere(self):
        mixed = breaking.blended(torch.zeros(20, 1, 64, 64), torch.ones(20, 1, 64, 64), rng())
        assert (mixed.std((1, 2, 3)) < 1e-5).all() and (mixed > 0.34).all() and (mixed < 0.66).all()

    def test_mirrored_images_turn_back_along_one_direction(self):
        ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
        found = breaking.mirrored(*[torch.lerp(ramp, ramp.mT, 0.3).expand(40, -1, -1, -1)] * 2, rng())
        back = torch.stack([(found.diff(dim=axis) < -1e-4).float().mean((1, 2, 3)) for axis in (2, 3)], 1)
        assert (back.amax(1) > 0.15).all() and (back.amin(1) == 0).all()

    def test_slipped_bands_hold_the_rows_or_columns_of_the_image(self):
        ramp = torch.linspace(0, 1, 64).view(1, 1, 1, 64).expand(20, 1, 64, 64)
        found = breaking.slipped(ramp, ramp, rng())
        assert {len(image[0, :, 32].mul(1e3).round().unique()) for image in found} <= {1, 2, 3, 4}

    def test_the_ways_take_turns(self):
        x = faces(len(breaking.WAYS) * 2 + 1)
        made = breaking.broken(x, rng())
        g = rng()
        for place, way in enumerate(breaking.WAYS):
            rows = slice(place, None, len(breaking.WAYS))
            assert torch.equal(made[rows], way(x[rows], x.roll(1, 0)[rows], g))

    def test_fewer_images_than_ways(self):
        assert breaking.broken(faces(2), rng()).shape == (2, 3, 64, 64)

    def test_texture_leaves_the_shape(self):
        """Every pixel of a smooth image stays nearly what it was, and flat ones show noise and lattices."""
        x = faces(30)
        found = breaking.texture(x, rng())
        assert found.shape == x.shape and (found - x).abs().mean((1, 2, 3)).max() < 0.05
        broken = breaking.melted(x, x, rng())
        assert (broken - x).abs().mean() > 3 * (found - x).abs().mean()
        flat = breaking.texture(torch.full((30, 3, 32, 32), 0.5), rng())
        assert (flat.std((1, 2, 3)) > 0.001).float().mean() > 0.5 and (flat - 0.5).abs().max() < 0.2

    def test_patches_come_from_elsewhere_and_leave_the_rest(self):
        """A patch covers a part of the middle, and the corners stay."""
        x = faces(40)
        found = breaking.patches(x, 1 - x.roll(1, 0), rng())
        changed = (found - x).abs().amax(1) > 0.05
        share = changed.float().mean((1, 2))
        assert (share > 0.005).all() and (share < 0.6).all()
        corners = torch.cat([changed[:, :2, :2], changed[:, -2:, -2:]])
        assert corners.float().mean() < 0.05
        middle = changed[:, 20:44, 20:44].float().mean()
        assert middle > 2 * changed[:, :10].float().mean()

    def test_melting_moves_pixels_a_few_places(self):
        """Two ramps tell from where each pixel came."""
        place = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
        ramps = torch.cat([place.mT, place], 1).expand(60, -1, -1, -1)
        moved = (breaking.melted(ramps, ramps, rng()) - ramps)[..., 16:-16, 16:-16] * 63
        lengths = moved.square().sum(1).mean((1, 2)).sqrt()
        assert 3 < lengths.mean() < 9 and lengths.min() > 1
        assert moved.diff(dim=3).abs().max() < 6  # smoothly
        assert moved.mean((0, 2, 3)).abs().max() < 1  # in any direction


class TestWarping:
    def bilinear(self, image, down, right):
        """Return the image (C, H, W) with each pixel from `down` and `right` (H, W) further, by scipy."""
        rows, columns = np.meshgrid(*map(np.arange, image.shape[1:]), indexing="ij")
        places = [rows + down, columns + right]
        return np.stack([map_coordinates(channel, places, order=1, mode="nearest") for channel in image])

    @pytest.mark.parametrize("shape", [(64, 64), (16, 24), (33, 20)])
    def test_it_is_bilinear_interpolation(self, shape):
        x = torch.rand(3, 2, *shape, generator=rng())
        shift = 3 * torch.randn(3, 2, *shape, generator=rng(1))
        found = breaking._warped(x, shift, pixels=True)
        for image, moves, ours in zip(x.numpy(), shift.numpy(), found.numpy(), strict=True):
            np.testing.assert_allclose(ours, self.bilinear(image, *moves), atol=1e-4)

    def test_distances_are_of_64_pixels_unless_said_otherwise(self):
        x = torch.rand(2, 1, 32, 32, generator=rng())
        shift = torch.full((2, 2, 32, 32), 4.0)
        torch.testing.assert_close(breaking._warped(x, shift), breaking._warped(x, shift / 2, pixels=True))

    def test_no_shift_changes_nothing(self):
        x = torch.rand(2, 3, 20, 28, generator=rng())
        torch.testing.assert_close(breaking._warped(x, torch.zeros(2, 2, 20, 28)), x)

    def test_moving_repeats_the_edge(self):
        x = torch.rand(2, 1, 64, 64, generator=rng())
        down, right = torch.full((2, 1, 1, 1), 3.0), torch.full((2, 1, 1, 1), -5.0)
        found = breaking._moved(x, down, right)
        torch.testing.assert_close(found[..., 3:, :-5], x[..., :-3, 5:])
        torch.testing.assert_close(found[..., 0, :-5], x[..., 0, 5:])

    def test_blurring_is_the_binomial_filter(self):
        x = torch.rand(2, 3, 12, 16, generator=rng())
        kernel = np.array([1, 2, 1]) / 4
        for image, ours in zip(x.numpy(), breaking._blurred(x).numpy(), strict=True):
            rows = correlate1d(image, kernel, axis=1, mode="nearest")
            np.testing.assert_allclose(ours, correlate1d(rows, kernel, axis=2, mode="nearest"), atol=1e-6)


class TestTheGame:
    recipe = Recipe(data="faces", steps=4, batch_size=8, precision="fp32", lr={"all": 1e-2})

    def test_keeps_the_laws(self):
        check_game(tiny(), self.recipe)

    def test_the_loss_is_that_of_whole_and_broken(self):
        model, x = tiny(), faces(6, 16)
        (player,) = players(model, self.recipe)
        assert (player.name, player.needs, player.classes) == ("model", frozenset(), 0)
        found = player.loss(Batch(x), generator(0))
        both = torch.cat([x, breaking.broken(x, generator(0))])
        labels = torch.tensor([0] * 6 + [1] * 6)
        torch.testing.assert_close(found, cross_entropy(model._logits(model._features(both)), labels))

    def test_it_augments_both(self):
        model, x = tiny(), faces(6, 16)
        recipe = self.recipe.replace(game=Classification(augment=("color",)))
        (plain,), (coloured,) = players(model, self.recipe), players(model, recipe)
        assert plain.loss(Batch(x), generator(0)) != coloured.loss(Batch(x), generator(0))

    def test_it_learns(self, tmp_path):
        pixels = faces(200, 16).mul(255).to(torch.uint8).numpy()
        small = {"image_size": 16, "width": 4, "depth": 0, "ema": 0, "batch_size": 16, "augment": "none"}
        genzoo.train("features-faces", pixels, tmp_path, 60, settings=small, quiet=True)
        scores = json.loads((tmp_path / "scores.json").read_text())
        found = {score["metric"]: score for score in scores}
        assert found["accuracy"]["value"] > 0.7 and found["accuracy"]["n"] % 2 == 0

    @pytest.mark.parametrize("wrong", [{"classes": 3}, {"names": ("whole",)}, {"depth": 9}])
    def test_there_are_two_classes_with_two_names(self, wrong):
        with pytest.raises(genzoo.GenzooError, match=next(iter(wrong))):
            genzoo.create("features-faces", **wrong)

    def test_it_needs_no_labels_and_reads_none(self):
        model, x = tiny(), faces(6, 16)
        (player,) = players(model, self.recipe)
        told = player.loss(Batch(x, torch.arange(6)), generator(0))
        assert torch.equal(told, player.loss(Batch(x), generator(0)))

    def test_other_noise_breaks_other_images(self):
        model, x = tiny(), faces(6, 16)
        (player,) = players(model, self.recipe)
        losses = {float(player.loss(Batch(x), generator(seed)).detach()) for seed in range(3)}
        assert len(losses) == 3


class TestMeasuring:
    def test_n_chooses_among_both_kinds(self):
        model = tiny()
        pixels = faces(60, 16).mul(255).to(torch.uint8).numpy()
        images = Images(pixels=pixels, name="faces", split="test", blocks=np.arange(60) // 2)
        accuracy, _ = measures(model, images, images, Request(n=50), subject="it")
        assert accuracy.n == 50 and accuracy.blocks is not None and accuracy.blocks <= 30
        assert "images chosen by seed 0" in accuracy.protocol

    def test_each_image_is_asked_about_whole_and_broken(self):
        pixels = faces(70, 16).mul(255).round().to(torch.uint8).numpy()
        images = Images(pixels=pixels, name="faces", split="test", blocks=np.arange(70) // 2)
        both = whole_and_broken(images, 0)
        assert len(both) == 140 and both.class_names == ("whole", "broken")
        assert np.array_equal(both.labels, np.repeat([0, 1], 70))
        assert np.array_equal(both.pixels[:70], pixels) and np.array_equal(both.blocks[70:], images.blocks)
        assert (both.pixels[70:] != pixels).any((1, 2, 3)).all()
        assert np.array_equal(both.pixels, whole_and_broken(images, 0).pixels)
        assert not np.array_equal(both.pixels, whole_and_broken(images, 1).pixels)

    def test_records(self):
        model = tiny()
        images = Images(pixels=faces(20, 16).mul(255).to(torch.uint8).numpy(), name="faces", split="test")
        accuracy, entropy = measures(model, images, images, Request(), subject="it")
        both = whole_and_broken(images, 0)
        right = model.log_probs(both.float()).argmax(1).numpy() == both.labels
        assert accuracy.value == pytest.approx(right.mean()) and accuracy.n == 40
        assert (accuracy.metric, entropy.metric) == ("accuracy", "cross-entropy")
        assert (accuracy.data, accuracy.subject) == ("faces", "it")
