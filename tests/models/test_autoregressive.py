"""Models that are a product of conditionals, on one whose conditionals can be read off: levels, drawing,
completion, bad input."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
import torch

from genzoo.errors import ArgumentError
from genzoo.models import AutoregressiveModel
from genzoo.rng import Rng


@dataclass(frozen=True, kw_only=True)
class ChainConfig:
    image_shape: tuple[int, int, int] = (1, 3, 2)
    levels: int = 2


class Chain(AutoregressiveModel):
    """Logits of a dimension are a weighted sum of all earlier ones."""

    Config = ChainConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        size = config.image_shape[0] * config.image_shape[1] * config.image_shape[2]
        self.weight = torch.nn.Parameter(
            torch.randn(config.levels, size, size + 1, generator=torch.Generator().manual_seed(0))
        )

    @property
    def levels(self):
        return self.config.levels

    def _predict(self, x):
        # in the order of the chain rule
        flat = torch.cat([x.permute(0, 2, 3, 1).flatten(1), x.new_ones(len(x), 1)], 1)
        weight = torch.cat([self.weight[..., :-1].tril(-1), self.weight[..., -1:]], 2)
        channels, height, width = self.image_shape
        return (
            torch.einsum("lij,nj->nli", weight, flat)
            .view(len(x), -1, height, width, channels)
            .permute(0, 1, 4, 2, 3)
        )

    def _log_mass(self, params, level):
        return params.log_softmax(1).gather(1, level[:, None])[:, 0]

    def _quantile(self, params, u):
        return (params.double().softmax(1).cumsum(1)[:, :-1] <= u[:, None]).sum(1)


def chain(**config):
    return Chain(ChainConfig(**config)).eval()


def every(model):
    values = [level / (model.levels - 1) for level in range(model.levels)]
    size = model.image_shape[0] * model.image_shape[1] * model.image_shape[2]
    return torch.tensor(list(itertools.product(values, repeat=size))).view(-1, *model.image_shape)


def test_it_is_exact_and_sums_to_one():
    model = chain(image_shape=(3, 1, 2), levels=3)
    assert model.exact and not model.full_context
    assert model.log_prob(every(model)).double().exp().sum() == pytest.approx(1, abs=1e-5)


def test_log_prob_is_the_sum_of_its_conditionals():
    model = chain()
    x = every(model)[:7]
    torch.testing.assert_close(model._log_conditionals(x).sum((1, 2, 3)), model._log_prob(x))


def test_frequencies_are_probabilities():
    model = chain(image_shape=(1, 1, 2))
    drawn = model._sample(Rng(0, 0, 4000, model.device))
    found = [(drawn.float() == x).all((1, 2, 3)).float().mean() for x in every(model)]
    torch.testing.assert_close(torch.stack(found), model.log_prob(every(model)).exp(), rtol=0, atol=0.03)


def test_nothing_observed_is_a_sample():
    model = chain()
    x = torch.ones(1, *model.image_shape)
    done = model.complete(x, torch.zeros(3, 2, dtype=torch.bool), n=20, seed=3)
    assert torch.equal(done[0], model.sample(20, seed=3)) and done.shape == (1, 20, 1, 3, 2)


def test_everything_observed_is_the_image():
    model, x = chain(), torch.tensor([[[[0.0, 1], [1, 0], [1, 1]]]])
    done, told = model.complete_with_log_prob(x, torch.ones(1, 3, 2, dtype=torch.bool), n=3)
    assert torch.equal(done, x[:, None].expand(1, 3, 1, 3, 2))
    torch.testing.assert_close(told, model.log_prob(x)[:, None].expand(1, 3))


def test_observed_pixels_are_kept_and_others_are_drawn_given_them():
    model = chain(image_shape=(1, 1, 2))
    x = torch.tensor([[[[1.0, 0.0]]]])
    done = model.complete(x, torch.tensor([[True, False]]), n=2000, seed=0)[0]
    assert (done[:, 0, 0, 0] == 1).all()
    both = model.log_prob(torch.tensor([[[[1.0, 0.0]]], [[[1.0, 1.0]]]])).exp()
    assert done[:, 0, 0, 1].mean() == pytest.approx(float(both[1] / both.sum()), abs=0.04)


def test_a_completion_does_not_depend_on_how_many_are_asked_for():
    model = chain()
    x, mask = every(model)[5:7], torch.zeros(2, 1, 3, 2, dtype=torch.bool)
    mask[:, :, 0] = True
    many = model.complete(x, mask, n=30, seed=1)
    assert torch.equal(model.complete(x[:1], mask[:1], n=30, seed=1)[0], many[0])
    assert torch.equal(model.complete(x[:1], mask[:1], n=3, seed=1)[0], many[0, :3])
    assert not torch.equal(many[0], model.complete(x, mask, n=30, seed=2)[0])


def test_log_prob_of_completions():
    model = chain()
    x, mask = every(model)[5:7], torch.zeros(3, 2, dtype=torch.bool)
    done, told = model.complete_with_log_prob(x, mask, n=12, seed=0)
    torch.testing.assert_close(told, model.log_prob(done.flatten(0, 1)).view(2, 12))


def test_a_completion_has_the_probability_of_the_rest_given_what_is_kept():
    """log p(rest | prefix), by summing p over every image with that prefix."""
    model, images = chain(), every(chain())
    mask = torch.zeros(3, 2, dtype=torch.bool)
    mask.view(-1)[:3] = True
    told = model.completion_log_prob(images, mask)
    whole = model.log_prob(images).double()
    for image, value, share in zip(images, told, whole, strict=True):
        same = (images.flatten(1)[:, :3] == image.flatten()[:3]).all(1)
        assert float(value) == pytest.approx(float(share - whole[same].logsumexp(0)), abs=1e-4)


def test_a_completion_comes_as_often_as_its_probability_says_whatever_is_kept():
    model = chain(image_shape=(1, 1, 3))
    x, mask = torch.tensor([[[[0.0, 1.0, 0.0]]]]), torch.tensor([[False, True, False]])
    done = model.complete(x, mask, n=4000, seed=0)[0]
    for first, last in itertools.product((0.0, 1.0), repeat=2):
        one = torch.tensor([[[[first, 1.0, last]]]])
        found = float((done == one).all((1, 2, 3)).float().mean())
        assert found == pytest.approx(float(model.completion_log_prob(one, mask).exp()), abs=0.03)


def test_of_nothing_kept_it_is_the_whole_of_everything_kept_it_is_nothing():
    model, x = chain(image_shape=(3, 2, 2)), torch.ones(2, 3, 2, 2)
    torch.testing.assert_close(
        model.completion_log_prob(x, torch.zeros(2, 2, dtype=torch.bool)), model.log_prob(x)
    )
    assert not model.completion_log_prob(x, torch.ones(2, 2, dtype=torch.bool)).any()
    mask = torch.zeros(2, 3, 2, 2, dtype=torch.bool)
    mask[0] = True
    mask[1, 1] = True
    told = model.completion_log_prob(x, mask)
    assert told[0] == 0
    torch.testing.assert_close(told[1], model._log_conditionals(x)[1, [0, 2]].sum())


def test_a_completion_without_probability_is_refused():
    mask = torch.ones(3, 2, dtype=torch.bool)
    for x, words in (
        (torch.full((1, 1, 3, 2), 0.4), "binarise"),
        (torch.zeros(1, 1, 2, 3), "shape"),
        (torch.zeros(3, 2), "shape"),
    ):
        with pytest.raises(ArgumentError, match=words):
            chain().completion_log_prob(x, mask)
    with pytest.raises(ArgumentError, match="mask must be bool"):
        chain().completion_log_prob(torch.zeros(1, 1, 3, 2), mask.float())


@pytest.mark.parametrize("n", [3, 20])
def test_progress_is_told_after_every_pixel(n):
    model, told = chain(), []
    x = every(model)[:2]
    done = model.complete(
        x, torch.zeros(3, 2, dtype=torch.bool), n, seed=0, progress=lambda *state: told.append(state)
    )
    assert {total for _, total in told} == {2 * n * 6}
    counts = [count for count, _ in told]
    assert (
        counts == sorted(counts)
        and counts[-1] == 2 * n * 6
        and len(set(counts)) == 6 * -(-2 * n // model.decode_chunk)
    )
    assert torch.equal(done, model.complete(x, torch.zeros(3, 2, dtype=torch.bool), n, seed=0))
    told.clear()
    model.sample(3, seed=0, progress=lambda *state: told.append(state))
    assert sorted(set(told)) == [(3 * pixel, 18) for pixel in range(1, 7)]
    with pytest.raises(ArgumentError, match="progress must be a function"):
        model.complete(x, torch.zeros(3, 2, dtype=torch.bool), progress=1)


def test_who_interrupts_finds_the_model_as_it_was():
    def stop(done, total):
        raise KeyboardInterrupt

    model = chain().train()
    with pytest.raises(KeyboardInterrupt):
        model.sample(2, seed=0, progress=stop)
    assert model.training and not torch.is_inference_mode_enabled()


def test_masks_may_differ_between_images_and_channels():
    model = chain(image_shape=(3, 1, 2))
    x, mask = every(model)[[3, 60]], torch.zeros(2, 3, 1, 2, dtype=torch.bool)
    mask[0, 1], mask[1, :, :, 0] = True, True
    done = model.complete(x, mask, n=40, seed=0)
    observed = mask[:, None].expand_as(done)
    assert torch.equal(done[observed], x[:, None].expand_as(done)[observed])
    assert all(len(done[i][:, ~mask[i]].unique(dim=0)) > 1 for i in range(2))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.ones(3, 2), "bool"),
        (torch.ones(2, 3, dtype=torch.bool), r"\(3, 2\)"),
        (torch.ones(3, 1, 3, 2, dtype=torch.bool), "shape"),
        ("upper", "mask"),
        (None, "mask"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, words):
    with pytest.raises(ArgumentError, match=words):
        chain().complete(torch.zeros(2, 1, 3, 2), mask)


@pytest.mark.parametrize("bad", [{"n": 0}, {"n": "3"}, {"seed": -1}])
def test_bad_counts_and_seeds_are_refused(bad):
    with pytest.raises(ArgumentError):
        chain().complete(torch.zeros(1, 1, 3, 2), torch.ones(3, 2, dtype=torch.bool), **bad)


def test_bad_images_are_refused():
    mask = torch.ones(3, 2, dtype=torch.bool)
    for x in (torch.full((1, 1, 3, 2), torch.nan), torch.zeros(1, 1, 2, 3), torch.full((1, 1, 3, 2), 0.4)):
        with pytest.raises(ArgumentError, match="x "):
            chain().complete(x, mask)


def test_grey_levels_are_refused_by_a_model_of_black_and_white():
    grey = torch.full((1, 1, 3, 2), 0.4)
    with pytest.raises(ArgumentError, match=r"levels.*binarise first: \(x > 0.5\).*bernoulli"):
        chain().log_prob(grey)
    with pytest.raises(ArgumentError, match=r"quantise first: \(x \* 3\)"):
        chain(levels=4).log_prob(grey)
    with pytest.raises(ArgumentError, match="binarise"):
        chain()._log_prob(grey)  # as in training


def test_grey_where_nothing_is_observed_does_not_matter():
    model, grey = chain(), torch.full((1, 1, 3, 2), 0.4)
    assert torch.isin(
        model.complete(grey, torch.zeros(3, 2, dtype=torch.bool)), torch.tensor([0.0, 1.0])
    ).all()


def test_256_levels_take_every_value_to_the_nearest():
    model = chain(image_shape=(1, 1, 1), levels=256)
    x = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1)
    assert model.check_levels(x).flatten().tolist() == [0, 128, 255]


def test_training_gets_a_gradient():
    model = chain()
    model._log_prob(every(model)).mean().backward()
    assert model.weight.grad.abs().sum() > 0
