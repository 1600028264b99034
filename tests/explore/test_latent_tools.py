"""The manifold, the traversal and the arithmetic of latents, on a model whose image shows its z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.explore.arithmetic import arithmetic, of_images, of_seeds
from genzoo.explore.latents import codes
from genzoo.explore.manifold import manifold, quantiles
from genzoo.explore.traversal import traverse
from genzoo.models import EncodingModel


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


class Moments(NamedTuple):
    mean: Tensor
    log_var: Tensor


class Uncertain(Net):
    """Its encoder names a mean and a variance."""

    def _encode(self, x):
        mean = super()._encode(x)
        return Moments(mean, torch.full_like(mean, -9.0))


class Silent(Net):
    """Its encoder names no mean."""

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
        torch.testing.assert_close(images[:, :, 0, 0, 0], shares.expand(7, 7), atol=1e-5, rtol=0)  # left to right
        torch.testing.assert_close(images[:, :, 0, 0, 1], shares.flip(0)[:, None].expand(7, 7), atol=1e-5, rtol=0)  # bottom to top

    @pytest.mark.parametrize("size", [1, 3])
    def test_other_numbers_of_latents(self, kind, size):
        with pytest.raises(ArgumentError, match=rf"two latents, {kind.__name__} has {size}.*traverse.*vae2d-mnist"):
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
            torch.testing.assert_close(images[row, :, 0, 0, dimension], torch.linspace(0.05, 0.95, 5), atol=1e-5, rtol=0)
            others = [i for i in range(4) if i != dimension]
            torch.testing.assert_close(images[row, :, 0, 0, others], torch.full((5, 3), 0.5))

    @pytest.mark.parametrize("shape", [(4,), (1, 4)])
    def test_from_a_given_point(self, shape):
        model, z = wide(), torch.tensor([0.3, -1.0, 2.0, 0.1])
        images = traverse(model, 1, 3, z=z.view(shape))
        torch.testing.assert_close(images[0, :, 0, 0, [0, 2, 3]], torch.special.ndtr(z[[0, 2, 3]]).expand(3, 3))
        assert torch.equal(z, torch.tensor([0.3, -1.0, 2.0, 0.1]))

    def test_unasked_it_shows_the_first_ten(self):
        assert traverse(wide(3), steps=2).shape[0] == 3
        assert traverse(wide(13), steps=2).shape[0] == 10

    @pytest.mark.parametrize("wrong", [4, -1, [0, 7]])
    def test_a_dimension_that_does_not_exist(self, wrong):
        with pytest.raises(ArgumentError, match=r"no latent dimension (4|-1|7): the model has 4, counted from 0 — choose between 0 and 3"):
            traverse(wide(), wrong)

    @pytest.mark.parametrize("wrong", [[], "01", 1.5, [True], [None], {0}])
    def test_what_is_no_dimension(self, wrong):
        with pytest.raises(ArgumentError, match="dimension"):
            traverse(wide(), wrong)

    @pytest.mark.parametrize(("wrong", "told"), [
        ({"steps": 1}, "steps"), ({"steps": 0}, "steps"), ({"z": torch.zeros(2, 4)}, "one latent vector, not 2"),
        ({"z": torch.zeros(3)}, r"shape \(N, 4\)"), ({"z": "z"}, "z must be a tensor"),
    ])  # fmt: skip
    def test_wrong_arguments(self, wrong, told):
        with pytest.raises(ArgumentError, match=told):
            traverse(wide(), **wrong)


class TestArithmetic:
    model = wide()
    groups = tuple(wide().sample_latents(3 + i, seed=i) for i in range(3))

    def test_the_sum_of_the_means(self):
        result = arithmetic(self.model, *self.groups, n=5, seed=0)
        a, b, c = (group.mean(0) for group in self.groups)
        torch.testing.assert_close(result.z, a - b + c)
        torch.testing.assert_close(result.images[:1], self.model.decode((a - b + c)[None]))
        torch.testing.assert_close(result.concepts, self.model.decode(torch.stack([a, b, c])))

    def test_neighbours_lie_within_the_noise(self):
        result = arithmetic(self.model, *self.groups, n=400, noise=0.25, seed=1)
        shifts = codes(self.model, result.images) - result.z
        assert shifts[1:].abs().max() <= 0.2501 and shifts[1:].abs().max() > 0.24
        assert abs(float(shifts.mean())) < 0.02 and shifts[0].abs().max() < 1e-4
        still = arithmetic(self.model, *self.groups, n=3, noise=0)
        assert torch.equal(still.images[0], still.images[2])

    def test_a_neighbour_does_not_depend_on_their_number(self):
        many, few = (arithmetic(self.model, *self.groups, n=n, seed=3).images for n in (8, 2))
        assert torch.equal(many[:2], few)

    def test_the_control_is_the_sum_over_pixels(self):
        result = arithmetic(self.model, *self.groups, n=1)
        a, b, c = (self.model.decode(group).mean(0) for group in self.groups)
        torch.testing.assert_close(result.control, (a - b + c).clamp(0, 1))
        assert (result.control - result.images[0]).abs().max() > 1e-3

    def test_groups_of_seeds(self):
        group = of_seeds(self.model, [5, 6, 7])
        assert torch.equal(group[1], self.model.sample_latents(4, seed=6)[0])

    @pytest.mark.parametrize("kind", [Net, Uncertain])
    def test_groups_of_images(self, kind):
        model, z = wide(kind=kind), self.groups[0]
        torch.testing.assert_close(of_images(model, model.decode(z)), z, atol=1e-3, rtol=1e-3)

    @pytest.mark.parametrize(("size", "told"), [(0, "is empty"), (1, "has 1"), (2, "has 2")])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_groups_that_are_too_small(self, place, size, told):
        groups = list(self.groups)
        groups[place] = groups[place][:size]
        with pytest.raises(ArgumentError, match=rf"{('start', 'minus', 'plus')[place]} {told}: .*at least 3"):
            arithmetic(self.model, *groups)

    def test_groups_that_are_none(self):
        for wrong in ([], [1, 2], "123", 3, [1, 2, None], [1, 2, -3]):
            with pytest.raises(ArgumentError, match="seed"):
                of_seeds(self.model, wrong)
        with pytest.raises(ArgumentError, match="images has 2"):
            of_images(self.model, self.model.decode(self.groups[0][:2]))
        with pytest.raises(ArgumentError, match="start must be a group of latent vectors, not int"):
            arithmetic(self.model, 3, *self.groups[1:])
        with pytest.raises(ArgumentError, match=r"plus must have the shape \(N, 4\)"):
            arithmetic(self.model, *self.groups[:2], torch.zeros(3, 5))

    @pytest.mark.parametrize("wrong", [{"n": 0}, {"noise": -0.1}, {"noise": float("nan")}, {"noise": "much"}, {"seed": -1}])
    def test_wrong_numbers_are_named(self, wrong):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            arithmetic(self.model, *self.groups, **wrong)


class TestWithoutZ:
    @pytest.mark.parametrize("tool", [
        manifold, traverse, lambda m: arithmetic(m, 1, 2, 3), lambda m: of_seeds(m, [1, 2, 3]), lambda m: of_images(m, None),
    ])  # fmt: skip
    def test_each_tool_says_so(self, tool):
        with pytest.raises(ArgumentError, match="Decoder has no latent z — a GAN or a VAE has one"):
            tool(Decoder())

    def test_a_model_that_cannot_encode(self):
        import toys

        with pytest.raises(ArgumentError, match="ToyGAN decodes z but encodes no images — choose seeds"):
            of_images(toys.gan(), torch.zeros(3, 1, 8, 8))

    def test_an_encoder_without_a_mean(self):
        with pytest.raises(ArgumentError, match=r"Silent\.encode returns a dict without"):
            codes(wide(kind=Silent), torch.full((3, 1, 1, 4), 0.5))
