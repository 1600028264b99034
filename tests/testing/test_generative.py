import pytest
import torch

from genzoo.rng import Rng
from genzoo.testing import LawError, check_generative
from genzoo.testing.generative import untouched


def test_honest_models_pass(kinds, made):
    for cls in (kinds.game, kinds.pixels, kinds.bound):
        check_generative(made(cls))


def test_a_model_that_cannot_be_sampled_is_refused(kinds, made):
    with pytest.raises(LawError, match="GenerativeModel"):
        check_generative(made(kinds.coder))


def planted(base, made, words, **methods):
    with pytest.raises(LawError, match=words) as caught:
        check_generative(made(type("Broken", (base,), methods)))
    return caught.value


def test_a_range_of_minus_one_to_one_is_refused(kinds, made):
    def _sample(self, draws):
        return 2 * draws.uniform(*self.image_shape) - 1

    error = planted(kinds.game, made, r"values between -0\.\d+", _sample=_sample)
    assert "(x + 1) / 2" in error.where


def test_another_shape_is_refused(kinds, made):
    def _sample(self, draws):
        return draws.uniform(*self.image_shape[1:])

    planted(kinds.game, made, "the shape", _sample=_sample)


def test_nan_is_refused(kinds, made):
    def _sample(self, draws):
        return draws.uniform(*self.image_shape) * torch.nan

    planted(kinds.game, made, "NaN", _sample=_sample)


def test_noise_from_torchs_own_generator_is_refused(kinds, made):
    def _sample(self, draws):
        return torch.rand(draws.n, *self.image_shape)

    planted(kinds.game, made, "take noise from rng only", _sample=_sample)


def test_images_that_depend_on_their_batch_are_refused(kinds, made):
    def _sample(self, draws):
        images = draws.uniform(*self.image_shape)
        return (images - images.mean(0)).abs()

    planted(kinds.game, made, "does not depend on the others", _sample=_sample)


def test_noise_that_forgets_the_number_of_the_image_is_refused(kinds, made):
    def _sample(self, draws):
        return Rng(draws.seed, 0, draws.n).uniform(*self.image_shape)

    planted(kinds.game, made, "depends on seed and i alone", _sample=_sample)


def test_a_seed_that_does_not_matter_is_refused(kinds, made):
    def _sample(self, draws):
        return draws.uniform(*self.image_shape) * 0

    planted(kinds.game, made, "another seed gives other images", _sample=_sample)


def test_equal_images_are_refused(kinds, made):
    def _sample(self, draws):
        return Rng(draws.seed, 0, 1).uniform(*self.image_shape).expand(draws.n, -1, -1, -1)

    planted(kinds.game, made, "images of one seed differ", _sample=_sample)


def test_state_that_sampling_changes_is_refused(kinds, made):
    def _sample(self, draws):
        z = draws.normal(self.latent_size)
        self.generator[1].num_batches_tracked += 1
        return self._decode(z)

    planted(kinds.game, made, "num_batches_tracked changed", _sample=_sample)


def test_hidden_random_state_is_refused(kinds, made):
    def _sample(self, draws):
        torch.rand(1)
        return draws.uniform(*self.image_shape)

    planted(kinds.pixels, made, "does not change torch's global generator", _sample=_sample)


def test_a_replaced_sample_that_takes_any_n_is_refused(kinds, made):
    model = made(kinds.game)
    honest = model.sample
    model.sample = lambda n=1, seed=None, **kw: honest(n or 1, seed, **kw)
    with pytest.raises(LawError, match=r"sample\(0\) is accepted"):
        check_generative(model)


def test_a_replaced_sample_with_other_bytes_is_refused(kinds, made):
    model = made(kinds.game)
    honest = model.sample
    model.sample = lambda n=1, seed=None, dtype=torch.float32: (
        honest(n, seed).mul(200).to(dtype) if dtype == torch.uint8 else honest(n, seed)
    )
    with pytest.raises(LawError, match="256 levels"):
        check_generative(model)


def test_a_replaced_sample_with_other_types_is_refused(kinds, made):
    model = made(kinds.game)
    honest = model.sample
    model.sample = lambda n=1, seed=None, dtype=torch.float32: honest(n, seed).double()
    with pytest.raises(LawError, match="float32"):
        check_generative(model)


def test_untouched_sees_a_changed_weight(kinds, made):
    model = made(kinds.pixels)
    with pytest.raises(LawError, match="logits changed"), untouched(model, "here"), torch.no_grad():
        model.logits += 1
