"""The manifold, the traversal and the arithmetic of latents, on a model whose image shows its z."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from genzoo.data import open_data
from genzoo.errors import ArgumentError, DataError
from genzoo.explore.arithmetic import Sum, arithmetic, picture
from genzoo.explore.concepts import of_images, of_seeds
from genzoo.explore.figure import GAP
from genzoo.explore.latents import codes, read_image, reconstruct
from genzoo.explore.manifold import manifold, quantiles
from genzoo.explore.traversal import traverse
from genzoo.images import save_image
from genzoo.models import EncodingModel, Posterior


@dataclass(frozen=True)
class Config:
    image_shape: tuple = (1, 1, 2)


class Net(EncodingModel):
    """Pixel j is the share of the prior below z_j; encoding is the way back."""

    Config = Config

    def __init__(self, config=None):
        super().__init__()
        self.config = config or Config()

    @property
    def latent_size(self):
        return self.config.image_shape[2]

    def _decode(self, z):
        return torch.special.ndtr(z)[:, None, None]

    def _encode(self, x):
        return torch.special.ndtri(x[:, 0, 0].double()).float()


class Cube(Net):
    """The same with a uniform prior."""

    prior = "uniform"

    def _decode(self, z):
        return ((z + 1) / 2)[:, None, None]


class Uncertain(Net):
    """Its encoder names a mean and a variance."""

    def _encode(self, x):
        mean = super()._encode(x)
        return Posterior(mean, torch.full_like(mean, -9.0))


class Silent(Net):
    """Its encoder returns what is no code."""

    def _encode(self, x):
        return {"code": x}


class Decoder(nn.Module):
    """No latent model at all."""


def wide(size=4, kind=Net):
    return kind(Config(image_shape=(1, 1, size)))


@pytest.mark.parametrize("kind", [Net, Cube])
class TestManifold:
    def test_every_cell_is_as_likely_as_any_other(self, kind):
        images = manifold(kind(), 7)
        assert images.shape == (7, 7, 1, 1, 2)
        shares = torch.linspace(0.05, 0.95, 7)
        # left to right
        torch.testing.assert_close(images[:, :, 0, 0, 0], shares.expand(7, 7), atol=1e-5, rtol=0)
        # bottom to top
        torch.testing.assert_close(
            images[:, :, 0, 0, 1], shares.flip(0)[:, None].expand(7, 7), atol=1e-5, rtol=0
        )

    @pytest.mark.parametrize("size", [1, 3])
    def test_other_numbers_of_latents(self, kind, size):
        with pytest.raises(
            ArgumentError, match=rf"two latents, but {kind.__name__} has {size}.*traverse.*vae2d-mnist"
        ):
            manifold(wide(size, kind))

    @pytest.mark.parametrize("n", [1, 0, -3, 2.5, True])
    def test_wrong_n(self, kind, n):
        with pytest.raises(ArgumentError, match="n must be"):
            manifold(kind(), n)


def test_quantiles_of_the_priors():
    shares = torch.tensor([0.05, 0.5, 0.975], dtype=torch.float64)
    torch.testing.assert_close(quantiles(shares, "normal"), torch.tensor([-1.644854, 0.0, 1.959964]))
    torch.testing.assert_close(quantiles(shares, "uniform"), torch.tensor([-0.9, 0.0, 0.95]))


class TestTraversal:
    @pytest.mark.parametrize("kind", [Net, Cube])
    def test_one_latent_grows_and_the_others_stay(self, kind):
        images = traverse(wide(4, kind), [2, 0], steps=5)
        assert images.shape == (2, 5, 1, 1, 4)
        for row, dimension in enumerate((2, 0)):
            torch.testing.assert_close(
                images[row, :, 0, 0, dimension], torch.linspace(0.05, 0.95, 5), atol=1e-5, rtol=0
            )
            others = [i for i in range(4) if i != dimension]
            torch.testing.assert_close(images[row, :, 0, 0, others], torch.full((5, 3), 0.5))

    @pytest.mark.parametrize("shape", [(4,), (1, 4)])
    def test_from_a_given_point(self, shape):
        model, z = wide(), torch.tensor([0.3, -1.0, 2.0, 0.1])
        images = traverse(model, 1, 3, z=z.view(shape))
        torch.testing.assert_close(
            images[0, :, 0, 0, [0, 2, 3]], torch.special.ndtr(z[[0, 2, 3]]).expand(3, 3)
        )
        assert torch.equal(z, torch.tensor([0.3, -1.0, 2.0, 0.1]))

    def test_unasked_it_shows_the_first_ten(self):
        assert traverse(wide(3), steps=2).shape[0] == 3
        assert traverse(wide(13), steps=2).shape[0] == 10

    @pytest.mark.parametrize("wrong", [4, -1, [0, 7]])
    def test_a_dimension_that_does_not_exist(self, wrong):
        with pytest.raises(
            ArgumentError,
            match=r"no latent dimension (4|-1|7): the model has 4, counted from 0 — choose between 0 and 3",
        ):
            traverse(wide(), wrong)

    @pytest.mark.parametrize("wrong", [[], "01", 1.5, [True], [None], {0}])
    def test_what_is_no_dimension(self, wrong):
        with pytest.raises(ArgumentError, match="dimension"):
            traverse(wide(), wrong)

    @pytest.mark.parametrize(("kind", "span"), [(Net, 3), (Net, 0.5), (Cube, 1)])
    def test_a_span_goes_in_equal_steps_of_z(self, kind, span):
        model = wide(4, kind)
        values = torch.linspace(-span, span, 7)
        images = traverse(model, 1, 7, span=span)
        torch.testing.assert_close(
            images[0, :, 0, 0, 1], model.decode(values[:, None].expand(7, 4))[:, 0, 0, 1]
        )
        torch.testing.assert_close(images[0, :, 0, 0, [0, 2, 3]], torch.full((7, 3), 0.5))

    @pytest.mark.parametrize(
        ("kind", "span", "told"),
        [
            (Net, 0, "not 0"),
            (Net, -1, "not -1"),
            (Net, float("nan"), "not nan"),
            (Net, 101, "at most 100"),
            (Net, "3", "not '3'"),
            (Net, True, "not True"),
            (Cube, 1.5, "at most 1, not 1.5: the prior is uniform from -1 to 1 — for example 1"),
        ],
    )
    def test_a_wrong_span(self, kind, span, told):
        with pytest.raises(ArgumentError, match=f"span must be a number above 0 and .*{told}"):
            traverse(wide(4, kind), span=span)

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"steps": 1}, "steps"),
            ({"steps": 0}, "steps"),
            ({"z": torch.zeros(2, 4)}, "one latent vector, not 2"),
            ({"z": torch.zeros(3)}, r"shape \(N, 4\)"),
            ({"z": "z"}, "z must be a tensor"),
        ],
    )
    def test_wrong_arguments(self, wrong, told):
        with pytest.raises(ArgumentError, match=told):
            traverse(wide(), **wrong)


class TestArithmetic:
    model = wide()
    groups = tuple(wide().sample_latents(3 + i, seed=i) for i in range(3))

    def sum(self, **changes):
        start, away, other = self.groups
        return arithmetic(self.model, **{"plus": [start, other], "minus": [away], **changes})

    def test_the_sum_of_the_means(self):
        result = self.sum(n=5, seed=0)
        a, b, c = (group.mean(0) for group in self.groups)
        torch.testing.assert_close(result.z, a - b + c)
        torch.testing.assert_close(result.images[:1], self.model.decode((a - b + c)[None]))
        torch.testing.assert_close(result.concepts, self.model.decode(torch.stack([a, c, b])))

    def test_any_number_of_concepts(self):
        a, b, c = (group.mean(0) for group in self.groups)
        torch.testing.assert_close(self.sum(plus=self.groups[:1], minus=()).z, a)
        torch.testing.assert_close(self.sum(plus=self.groups, minus=[]).z, a + b + c)
        torch.testing.assert_close(self.sum(plus=self.groups[:1], minus=self.groups[1:]).z, a - b - c)

    def test_neighbours_lie_within_the_noise(self):
        result = self.sum(n=400, noise=0.25, seed=1)
        shifts = codes(self.model, result.images) - result.z
        assert shifts[1:].abs().max() <= 0.2501 and shifts[1:].abs().max() > 0.24
        assert abs(float(shifts.mean())) < 0.02 and shifts[0].abs().max() < 1e-4
        still = self.sum(n=3, noise=0)
        assert torch.equal(still.images[0], still.images[2])

    def test_a_neighbour_does_not_depend_on_their_number(self):
        many, few = (self.sum(n=n, seed=3).images for n in (8, 2))
        assert torch.equal(many[:2], few)

    def test_the_control_is_the_sum_over_pixels(self):
        result = self.sum(n=1)
        a, b, c = (self.model.decode(group).mean(0) for group in self.groups)
        torch.testing.assert_close(result.control, (a - b + c).clamp(0, 1))
        assert (result.control - result.images[0]).abs().max() > 1e-3

    @pytest.mark.parametrize("kind", [Net, Uncertain])
    def test_groups_of_images(self, kind):
        model, z = wide(kind=kind), self.groups[0]
        torch.testing.assert_close(of_images(model, model.decode(z)), z, atol=1e-3, rtol=1e-3)

    @pytest.mark.parametrize(("size", "told"), [(0, "is empty"), (1, "has 1"), (2, "has 2")])
    @pytest.mark.parametrize("place", ["plus", "minus"])
    def test_groups_that_are_too_small(self, place, size, told):
        with pytest.raises(ArgumentError, match=rf"{place}\[1\] {told}: .*at least 3"):
            self.sum(**{place: [self.groups[0], self.groups[1][:size]]})

    def test_groups_that_are_none(self):
        for wrong in ([], [1, 2], "123", 3, [1, 2, None], [1, 2, -3]):
            with pytest.raises(ArgumentError, match="seed"):
                of_seeds(self.model, wrong)
        for size, told in ((2, "has 2"), (0, "is empty")):
            with pytest.raises(ArgumentError, match=f"smiles {told}"):
                of_images(self.model, self.model.decode(self.groups[0])[:size], "smiles")
        with pytest.raises(ArgumentError, match=r"plus\[0\] must be a group of latent vectors, not int"):
            self.sum(plus=[3])
        with pytest.raises(ArgumentError, match=r"minus\[0\] must have the shape \(N, 4\)"):
            self.sum(minus=[torch.zeros(3, 5)])
        for wrong in (self.groups[0], 3, "abc"):
            with pytest.raises(ArgumentError, match="plus must be a list of groups"):
                self.sum(plus=wrong)
        with pytest.raises(ArgumentError, match="plus has no concept to add"):
            self.sum(plus=[])

    @pytest.mark.parametrize(
        "wrong", [{"n": 0}, {"noise": -0.1}, {"noise": float("nan")}, {"noise": "much"}, {"seed": -1}]
    )
    def test_wrong_numbers_are_named(self, wrong):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            self.sum(**wrong)


def test_the_picture_of_a_sum_stands_as_in_the_paper():
    """Concepts as columns a - b + c, each above its mean; the sum in the middle of nine; the control last,
    all on one line."""
    a, b, c, means, nine = (
        torch.full((n, 1, 64, 64), value) for n, value in ((4, 0.2), (3, 0.4), (3, 0.6), (3, 0.0), (9, 0.6))
    )
    means[:] = torch.tensor([0.15, 0.35, 0.25])[:, None, None, None]  # a, c, b: added ones first
    nine[0] = 0.8
    result = Sum(nine, means, torch.full((1, 64, 64), 0.4), torch.zeros(4))
    pixels = np.asarray(picture(result, [a, c, b], minus=1))
    assert pixels.shape == (3 * 66 + 2 + GAP + 68, 3 * 68 + 4 * 19 + 200 + 68 + 8 * GAP)
    column, shift = 68 + 19 + 2 * GAP, 2 + 32
    for place, (samples, mean) in enumerate([(0.2, 0.15), (0.4, 0.25), (0.6, 0.35)]):
        x = place * column + shift
        assert [pixels[y * 66 + shift, x] for y in range(3)] == [round(255 * samples)] * 3
        assert pixels[-shift, x] == round(255 * mean)
    left, level = 3 * column, len(pixels) - 200
    values = [[pixels[level + y * 66 + shift, left + x * 66 + shift] for x in range(3)] for y in range(3)]
    assert values == [[153, 153, 153], [153, 204, 153], [153, 153, 153]]
    assert pixels[-shift, -shift] == round(255 * 0.4)
    signs = pixels[-68:, 68 + GAP :][:, :19], pixels[-68:, column + 68 + GAP :][:, :19]
    assert [int((ink < 128).any(1).sum()) for ink in signs] == [4, 18]  # minus is flat, plus is high


class TestFiles:
    def test_an_image_is_read_as_the_model_wants_it(self, tmp_path):
        save_image(torch.rand(3, 16, 20, generator=torch.Generator().manual_seed(0)), tmp_path / "x.png")
        found = read_image(tmp_path / "x.png", (1, 8, 8))
        assert found.shape == (1, 1, 8, 8) and found.dtype == torch.float32
        assert torch.equal(found, open_data(tmp_path, image_shape=(1, 8, 8), split="train").float())

    def test_one_that_is_none(self, tmp_path):
        (tmp_path / "x.png").write_bytes(b"no picture")
        with pytest.raises(DataError, match=r"x\.png cannot be used: corrupt — it is damaged"):
            read_image(tmp_path / "x.png", (1, 8, 8))
        with pytest.raises(DataError, match=r"absent\.png cannot be used: unreadable — check"):
            read_image(tmp_path / "absent.png", (1, 8, 8))


def test_reconstruction_is_decoding_of_the_code():
    model = wide(kind=Uncertain)
    images = model.decode(model.sample_latents(5, seed=0))
    found = reconstruct(model, images)
    torch.testing.assert_close(found, images, atol=1e-4, rtol=0)
    assert not found.requires_grad


class TestWithoutZ:
    @pytest.mark.parametrize(
        "tool",
        [
            manifold,
            traverse,
            lambda m: arithmetic(m, [1], [2]),
            lambda m: of_seeds(m, [1, 2, 3]),
            lambda m: of_images(m, None),
        ],
    )
    def test_each_tool_says_so(self, tool):
        with pytest.raises(ArgumentError, match="Decoder has no latent z — a GAN or a VAE has one"):
            tool(Decoder())

    def test_a_model_that_cannot_encode(self):
        import toys

        with pytest.raises(ArgumentError, match="ToyGAN decodes z but cannot encode images — choose seeds"):
            of_images(toys.gan(), torch.zeros(3, 1, 8, 8))

    def test_an_encoder_that_returns_something_else(self):
        with pytest.raises(ArgumentError, match=r"Silent\._encode returned a dict, not a tensor of codes"):
            codes(wide(kind=Silent), torch.full((3, 1, 1, 4), 0.5))
