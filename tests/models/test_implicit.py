"""Implicit models have no likelihood, and say why."""

from __future__ import annotations

import pytest
import torch
import toys

from genzoo.errors import GenzooError, NoDensityError


@pytest.mark.parametrize("ask", ["log_prob", "bits_per_dim"])
def test_asked_for_a_likelihood_it_teaches(ask):
    with pytest.raises(
        NoDensityError, match=r"ToyGAN has no likelihood: it defines p\(x\) only through its samples G\(z\)"
    ) as caught:
        getattr(toys.gan(), ask)(torch.zeros(1, 1, 8, 8))
    assert isinstance(caught.value, (TypeError, GenzooError))
    assert "sample()" in caught.value.hint


def test_it_teaches_whatever_is_asked():
    with pytest.raises(NoDensityError):
        toys.gan().log_prob("nonsense")
