"""The kit refuses models that answer from weights they once had."""

import functools
from weakref import WeakKeyDictionary

import pytest
import torch

from genzoo.layers import decoded
from genzoo.models import AdversarialModel, DensityModel, EncodingModel
from genzoo.testing import LawError, check_density, check_generative, check_latent
from genzoo.testing.present import check_present


def by_version(kept, key, tensor, make):
    """What folding once did: keep what was made while the address and the version of a tensor stay."""
    state = (tensor.data_ptr(), tensor._version)
    if kept.get(key, (None, None))[0] != state:
        kept[key] = (state, make())
    return kept[key][1]


def test_a_cache_by_address_and_version_is_refused(kinds, made):
    kept = WeakKeyDictionary()

    class Broken(kinds.game):
        def _decode(self, z):
            linear = self.generator[0]
            weight = by_version(kept, linear, linear.weight, lambda: linear.weight.detach().clone())
            return torch.sigmoid(z @ weight.t()).unflatten(1, self.image_shape)

    for check in (check_generative, check_latent):
        with pytest.raises(LawError, match=r"present weights|gradients"):
            check(made(Broken))
    with pytest.raises(LawError, match="present weights"):
        check_present(made(Broken), lambda model: model.sample(2, seed=0), "here")


def test_a_likelihood_and_a_code_of_old_weights_are_refused(kinds, made):
    class Likely(kinds.pixels):
        @functools.lru_cache  # noqa: B019 - the fault that is planted
        def once(self):
            return self.logits.detach().clone()

        def _log_prob(self, x):
            return -torch.nn.functional.binary_cross_entropy_with_logits(
                self.once().expand_as(x), x, reduction="none"
            ).sum((1, 2, 3))

    with pytest.raises(LawError, match="present weights"):
        check_density(made(Likely))

    class Coded(kinds.coder):
        kept = None

        def _encode(self, x):
            self.kept = self.into.weight.detach().clone() if self.kept is None else self.kept
            return x.flatten(1) @ self.kept.t()

    with pytest.raises(LawError, match="present weights"):
        check_latent(made(Coded))


def test_an_image_that_changes_with_its_gradient_is_refused(kinds, made):
    class Broken(kinds.game):
        def _decode(self, z):
            images = super()._decode(z)
            return images if torch.is_grad_enabled() else (images * 16).round() / 16

    with pytest.raises(LawError, match="with gradients and without"):
        check_latent(made(Broken))


def test_honest_models_pass(kinds, made):
    class Folded(kinds.game):
        def _decode(self, z):
            return decoded(self.generator, z).unflatten(1, self.image_shape)

    for cls in (kinds.game, Folded):
        assert issubclass(cls, AdversarialModel)
        check_latent(made(cls))
    assert issubclass(kinds.pixels, DensityModel) and issubclass(kinds.coder, EncodingModel)
    check_latent(made(kinds.coder))
    check_density(made(kinds.pixels))
