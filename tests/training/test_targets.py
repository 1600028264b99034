"""Soft and noisy labels: what D is taught, and when that makes no sense."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from genzoo.losses.objectives import OBJECTIVES
from genzoo.rng import generator
from genzoo.training.targets import Targets

REAL, FAKE = torch.linspace(-3, 4, 4000), torch.linspace(-5, 2, 4000)


def noise(*parts):
    return generator("labels", *parts)


def test_without_switches_nothing_is_drawn():
    source = noise()
    before = source.get_state()
    objective = OBJECTIVES["non-saturating"]
    assert torch.equal(
        Targets().loss(objective, REAL, FAKE, source), objective.discriminator_loss(REAL, FAKE)
    )
    assert torch.equal(source.get_state(), before)


def test_soft_labels_lie_where_the_list_of_hacks_puts_them():
    real, fake = (Targets(soft=0.3).draw(20_000, kind, noise()) for kind in (True, False))
    for labels, low, high in ((real, 0.7, 1.2), (fake, 0.0, 0.3)):
        assert low <= labels.min() < low + 0.01 and high - 0.01 < labels.max() <= high
        assert labels.mean().item() == pytest.approx((low + high) / 2, abs=0.01)
    assert len(real.unique()) > 10_000  # drawn for each image


def test_flipped_labels_are_of_the_other_kind():
    real, fake = (Targets(flipped=0.2).draw(20_000, kind, noise()) for kind in (True, False))
    assert set(real.tolist()) == set(fake.tolist()) == {0.0, 1.0}
    assert (real == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (fake == 1).float().mean().item() == pytest.approx(0.2, abs=0.01)
    both = Targets(soft=0.3, flipped=0.5).draw(20_000, True, noise())
    assert ((both <= 0.3) | (both >= 0.7)).all() and (both <= 0.3).float().mean().item() == pytest.approx(
        0.5, abs=0.02
    )


@pytest.mark.parametrize("labels", [Targets(soft=0.3), Targets(flipped=0.1), Targets(soft=0.2, flipped=0.3)])
@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
def test_what_d_pays_is_the_cross_entropy_with_these_labels(labels, name):
    source = noise()
    expected = sum(
        binary_cross_entropy_with_logits(logits, labels.draw(4000, kind, source))
        for logits, kind in ((REAL, True), (FAKE, False))
    )
    torch.testing.assert_close(labels.loss(OBJECTIVES[name], REAL, FAKE, noise()), expected)


def test_under_least_squares_d_is_drawn_to_the_label():
    """½ (D - t)² has the same gradient as t · real + (1 - t) · fake."""
    labels, source = Targets(soft=0.3), noise()
    slopes = []
    for loss in (
        lambda real, fake: labels.loss(OBJECTIVES["lsgan"], real, fake, noise()),
        lambda real, fake: (
            (
                mse_loss(real, labels.draw(4000, True, source))
                + mse_loss(fake, labels.draw(4000, False, source))
            )
            / 2
        ),
    ):
        real, fake = REAL.clone().requires_grad_(True), FAKE.clone().requires_grad_(True)
        slopes.append(torch.autograd.grad(loss(real, fake), (real, fake)))
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other)


def test_soft_labels_hold_d_back():
    """With labels 1 and 0 D's logits grow without end; with soft ones there is a best logit, that of the mean
    label."""
    logit = torch.zeros(20_000, requires_grad=True)
    loss = Targets(soft=0.3).loss(
        OBJECTIVES["minimax"],
        logit + torch.logit(torch.tensor(0.95)),
        logit + torch.logit(torch.tensor(0.15)),
        noise(),
    )
    assert torch.autograd.grad(loss, logit)[0].sum().abs() < 0.01
