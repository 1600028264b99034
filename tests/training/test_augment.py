"""Differentiable augmentation: what each transform does to an image, and to a gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from genzoo.errors import ArgumentError
from genzoo.games import Adversarial
from genzoo.schema import parse
from genzoo.training.augment import (
    TRANSFORMS,
    _copied,
    _gathered,
    _Shift,
    augment,
    color,
    cutout,
    translation,
)


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=4, c=3, h=8, w=12, dtype=torch.float32, seed=1):
    return torch.rand(n, c, h, w, generator=noise(seed), dtype=dtype)


@pytest.mark.parametrize("name", TRANSFORMS)
class TestAll:
    def test_a_function_of_its_noise(self, name):
        x = pictures()
        assert torch.equal(TRANSFORMS[name](x, noise(3)), TRANSFORMS[name](x, noise(3)))
        assert not torch.equal(TRANSFORMS[name](x, noise(3)), TRANSFORMS[name](x, noise(4)))

    def test_the_global_generator_is_left_alone(self, name):
        state = torch.get_rng_state()
        TRANSFORMS[name](pictures(), noise())
        assert torch.equal(torch.get_rng_state(), state)

    def test_every_image_gets_its_own(self, name):
        out = TRANSFORMS[name](pictures(1).expand(16, -1, -1, -1), noise())
        assert len({tuple(image.flatten().tolist()) for image in out}) > 8

    def test_shape_dtype_and_input_are_kept(self, name):
        x = pictures()
        kept = x.clone()
        out = TRANSFORMS[name](x, noise())
        assert (out.shape, out.dtype) == (x.shape, x.dtype)
        assert torch.equal(x, kept)

    def test_gradients_flow_twice(self, name):
        """A gradient penalty differentiates D's gradient in the image once more."""
        x = pictures().requires_grad_(True)
        (slope,) = torch.autograd.grad((TRANSFORMS[name](x, noise()) ** 3).sum(), x, create_graph=True)
        slope.square().sum().backward()
        assert torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0

    def test_the_recipe_knows_it(self, name):
        assert parse(Adversarial, {"augment": (name,)}, "recipe").augment == (name,)


class TestPolicy:
    def test_none_is_the_identity_and_draws_nothing(self):
        x, source = pictures(), noise()
        state = source.get_state()
        assert augment(x, (), source) is x
        assert torch.equal(source.get_state(), state)

    def test_in_the_order_of_the_policy(self):
        x = pictures()
        first = noise(5)
        assert torch.equal(augment(x, (cutout, color), noise(5)), color(cutout(x, first), first))

    def test_unknown_names_are_refused_by_the_recipe(self):
        with pytest.raises(ArgumentError, match="did you mean 'cutout'"):
            parse(Adversarial, {"augment": ("cutuot",)}, "recipe")


class TestColor:
    def test_is_brightness_saturation_and_contrast_as_in_the_paper(self):
        """The paper's code, on [-1, 1], step by step."""
        x = pictures(dtype=torch.float32)
        source = noise(7)
        b, s, c = (torch.rand(4, 1, 1, 1, generator=source) for _ in range(3))
        y = 2 * x - 1
        y = y + (b - 0.5)
        m = y.mean(1, keepdim=True)
        y = (y - m) * (s * 2) + m
        m = y.mean((1, 2, 3), keepdim=True)
        y = (y - m) * (c + 0.5) + m
        torch.testing.assert_close(color(x, noise(7)), (y + 1) / 2, rtol=1e-5, atol=1e-6)

    def test_ranges(self):
        x = pictures(1, h=4, w=4).expand(4000, -1, -1, -1)
        y = color(x, noise())
        grey, seen = x.mean(1), y.mean(1)  # (N, H, W)
        contrast = (seen[:, 0, 0] - seen[:, 3, 1]) / (grey[:, 0, 0] - grey[:, 3, 1])
        saturation = (y[:, 0, 0, 0] - y[:, 1, 0, 0]) / (x[:, 0, 0, 0] - x[:, 1, 0, 0]) / contrast
        brightness = (y - x).mean((1, 2, 3))
        for values, low, high in ((brightness, -0.25, 0.25), (saturation, 0, 2), (contrast, 0.5, 1.5)):
            span = high - low
            assert low - 1e-3 <= values.min() < low + 0.01 * span
            assert high - 0.01 * span < values.max() <= high + 1e-3
            assert abs(values.mean() - (low + high) / 2) < 0.03 * span

    def test_gradient_is_the_adjoint(self):
        """It is affine in x: <J d, v> = <d, Jᵀ v>."""
        x, d, v = (pictures(seed=seed) for seed in (1, 2, 3))
        x.requires_grad_(True)
        (back,) = torch.autograd.grad(color(x, noise()), x, v)
        ahead = color(x + d, noise()) - color(x, noise())
        torch.testing.assert_close(
            (ahead * v).sum((1, 2, 3)), (d * back).sum((1, 2, 3)), rtol=1e-4, atol=1e-3
        )


class TestTranslation:
    @pytest.mark.parametrize(
        ("h", "w", "down", "right"), [(8, 8, 1, 1), (24, 40, 3, 5), (64, 64, 8, 8), (3, 16, 0, 2)]
    )
    def test_shifts_by_up_to_an_eighth(self, h, w, down, right):
        x = torch.zeros(1500, 1, h, w)
        x[:, 0, h // 2, w // 2] = 1
        out = translation(x, noise())
        _, _, rows, columns = (out == 1).nonzero().unbind(1)
        assert len(rows) == 1500
        assert set((rows - h // 2).tolist()) == set(range(-down, down + 1))
        assert set((columns - w // 2).tolist()) == set(range(-right, right + 1))

    def test_what_comes_into_view_is_grey_and_the_rest_is_copied(self):
        x = 1 + pictures(64, h=16, w=16)  # nothing in it is grey
        out = translation(x, noise())
        for before, after in zip(x, out, strict=True):
            grey = (after == 0.5).all(0)
            rows, columns = (~grey).any(1).nonzero().flatten(), (~grey).any(0).nonzero().flatten()
            height, width = len(rows), len(columns)
            assert height >= 14 and width >= 14 and (~grey).sum() == height * width
            up, left = (0 if rows[0] else 16 - height), (0 if columns[0] else 16 - width)
            torch.testing.assert_close(
                after[:, ~grey].view(3, height, width), before[:, up : up + height, left : left + width]
            )

    def test_gradients(self):
        x = pictures(3, 2, 8, 8, torch.float64).requires_grad_(True)
        assert gradcheck(lambda x: translation(x, noise()), (x,))
        assert gradgradcheck(lambda x: translation(x, noise()) ** 3, (x,))

    def test_gradient_is_the_shift_back(self):
        shifts = torch.tensor([[1, -2], [0, 3]])
        x = pictures(2).requires_grad_(True)
        v = pictures(2, seed=9)
        (back,) = torch.autograd.grad(_Shift.apply(x, shifts), x, v)
        assert torch.equal(back, _copied(v, -shifts))

    @hypothesis_settings(max_examples=40)
    @given(
        st.integers(1, 9),
        st.integers(1, 9),
        st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=4),
    )
    def test_the_way_of_gpus_gives_the_same(self, h, w, shifts):
        """One gather there, one copy per image here; shifts may even leave the image."""
        x = pictures(len(shifts), 2, h, w)
        shifts = torch.tensor(shifts).clamp(torch.tensor([-h, -w]), torch.tensor([h, w]))
        assert torch.equal(_gathered(x, shifts), _copied(x, shifts))

    def test_memory_layout_is_kept(self):
        x = pictures().contiguous(memory_format=torch.channels_last)
        for shifted in (_copied, _gathered):
            assert shifted(x, torch.tensor([[1, 1]] * 4)).is_contiguous(memory_format=torch.channels_last)


class TestCutout:
    @pytest.mark.parametrize(("h", "w"), [(8, 8), (24, 40), (64, 64), (7, 9), (6, 10), (14, 8)])
    def test_area_and_place(self, h, w):
        box = (round(h / 2), round(w / 2))
        cut = cutout(torch.ones(1200, 1, h, w), noise())[:, 0] == 0.5
        heights, widths = cut.any(2).sum(1), cut.any(1).sum(1)
        assert torch.equal(cut.sum((1, 2)), heights * widths)  # one box
        assert heights.max() == box[0] and widths.max() == box[1]
        assert (heights == box[0]).float().mean() > 0.4  # partly outside at times, not mostly
        assert heights.min() < box[0] and widths.min() < box[1]
        covered = cut.float().mean(0)
        assert covered.min() > 0.05 and covered.max() < 0.45  # every corner is cut at times, none always

    def test_an_odd_box_is_cut_off_equally_on_all_sides(self):
        cut = cutout(torch.ones(4000, 1, 6, 6), noise())[:, 0] == 0.5
        covered = cut.float().mean(0)
        for turned in (covered.flip(0), covered.flip(1), covered.T):
            torch.testing.assert_close(covered, turned, rtol=0, atol=0.05)

    @pytest.mark.parametrize("size", [4, 8, 28, 64])
    def test_an_even_box_has_the_bits_that_published_recipes_were_trained_with(self, size):
        source = noise(3)
        rows, columns = (torch.randint(0, size + 1, (50, 1), generator=source) for _ in range(2))
        inside = [(torch.arange(size) + 0.5 - centre).abs() < size / 4 for centre in (rows, columns)]
        box = inside[0][:, :, None] & inside[1][:, None, :]
        assert torch.equal(cutout(torch.ones(50, 1, size, size), noise(3))[:, 0] == 0.5, box)

    def test_the_rest_is_untouched_in_all_channels(self):
        x = 1 + pictures()
        out = cutout(x, noise())
        kept = out != 0.5
        assert torch.equal(kept[:, 0], kept[:, 1]) and torch.equal(kept[:, 0], kept[:, 2])
        assert torch.equal(out[kept], x[kept])

    def test_gradients(self):
        x = pictures(3, 2, 6, 6, torch.float64).requires_grad_(True)
        assert gradcheck(lambda x: cutout(x, noise()), (x,))
        assert gradgradcheck(lambda x: cutout(x, noise()) ** 3, (x,))
