import pytest
import torch

from genzoo.models import Posterior
from genzoo.testing import LawError, check_latent


def test_honest_models_pass(kinds, made):
    for cls in (kinds.game, kinds.coder):
        check_latent(made(cls))


def test_a_uniform_prior_passes(kinds, made):
    check_latent(made(type("Uniform", (kinds.game,), {"prior": "uniform"})))


def planted(base, made, words, **members):
    with pytest.raises(LawError, match=words):
        check_latent(made(type("Broken", (base,), members)))


def test_a_model_without_z_is_refused(kinds, made):
    planted(kinds.pixels, made, "LatentModel")


@pytest.mark.parametrize("size", [0, 2.0, True, None])
def test_a_wrong_latent_size_is_refused(kinds, made, size):
    planted(kinds.game, made, "latent_size is a whole number", latent_size=property(lambda self: size))


def test_a_prior_that_is_not_the_one_it_says_is_refused(kinds, made):
    planted(
        kinds.game,
        made,
        "drawn from the normal prior",
        _latents=lambda self, draws: 3 * draws.normal(self.latent_size),
    )
    planted(
        kinds.game,
        made,
        "drawn from the normal prior",
        _latents=lambda self, draws: draws.uniform(self.latent_size).float(),
    )


def test_a_prior_that_nobody_knows_is_refused(kinds, made):
    planted(kinds.game, made, "prior is 'normal' or 'uniform'", prior="cauchy")


def test_latents_from_torchs_own_generator_are_refused(kinds, made):
    planted(
        kinds.game,
        made,
        "take noise from rng only",
        _latents=lambda self, draws: torch.randn(draws.n, self.latent_size),
    )


def test_latents_that_ignore_the_seed_are_refused(kinds, made):
    def _latents(self, draws):
        return torch.linspace(-1.7, 1.7, self.latent_size).expand(draws.n, -1).contiguous()

    planted(kinds.game, made, "another seed gives other z", _latents=_latents)


def test_latents_of_another_type_or_value_are_refused(kinds, made):
    planted(kinds.game, made, "float64", _latents=lambda self, draws: draws.uniform(self.latent_size))
    planted(kinds.game, made, "NaN", _latents=lambda self, draws: draws.normal(self.latent_size) * torch.nan)


def test_a_decoder_beyond_its_range_is_refused(kinds, made):
    planted(kinds.game, made, "values between", _decode=lambda self, z: kinds.game._decode(self, z) * 2 - 1)


def test_a_decoder_with_batch_statistics_is_refused(kinds, made):
    def _decode(self, z):
        return kinds.game._decode(self, z - z.mean(0))

    planted(kinds.game, made, "its own z alone", _decode=_decode)


def test_a_decoder_with_noise_is_refused(kinds, made):
    def _decode(self, z):
        return kinds.game._decode(self, z) * (1 - 1e-4 * torch.rand(1))

    planted(kinds.game, made, "the same z gives the same image", _decode=_decode)


def test_a_decoder_that_ignores_z_is_refused(kinds, made):
    planted(
        kinds.game,
        made,
        "another z gives another image",
        _decode=lambda self, z: kinds.game._decode(self, z * 0),
    )


def test_a_decoder_without_gradients_is_refused(kinds, made):
    planted(
        kinds.game,
        made,
        "no gradient at all",
        _decode=lambda self, z: kinds.game._decode(self, z.detach()).detach(),
    )

    def rounding(self, z):
        return kinds.game._decode(self, z).round() + 0 * z.sum()

    planted(kinds.game, made, "a gradient of zero", _decode=rounding)


def test_a_replaced_decode_that_takes_any_z_is_refused(kinds, made):
    model = made(kinds.game)
    honest = model.decode
    model.decode = lambda z: honest(torch.as_tensor(z)[:, : model.latent_size])
    with pytest.raises(LawError, match="z of another size is accepted"):
        check_latent(model)


def test_an_encoder_with_noise_or_batch_statistics_is_refused(kinds, made):
    planted(
        kinds.coder,
        made,
        "that image alone",
        _encode=lambda self, x: kinds.coder._encode(self, x) + torch.randn(1),
    )
    planted(
        kinds.coder,
        made,
        "that image alone",
        _encode=lambda self, x: kinds.coder._encode(self, x - x.mean(0)),
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z: None, r"_encode returned a NoneType, not a tensor of codes or a Posterior"),
        (lambda z: (z, z), r"_encode returned a tuple, not a tensor of codes or a Posterior"),
        (lambda z: {"mean": z}, r"_encode returned a dict, not"),
        (lambda z: Posterior(z, None), r"_encode returned a NoneType, not"),
        (lambda z: z[:1], r"_encode returned the shape \(1, \d+\), not \(3, \d+\)"),
        (lambda z: z[:, 1:], r"_encode returned the shape \(3, \d+\), not \(3, \d+\)"),
        (lambda z: Posterior(z, z[:, 1:]), r"_encode returned the shape"),
        (lambda z: z.round().long(), r"_encode returned torch\.int64, not floating-point"),
        (lambda z: z / 0, r"_encode returned NaN or infinite values"),
        (lambda z: Posterior(z, z / 0), r"_encode returned NaN or infinite values"),
    ],
)
def test_an_encoder_that_returns_something_else_is_refused(kinds, made, answer, words):
    planted(kinds.coder, made, words, _encode=lambda self, x: answer(kinds.coder._encode(self, x)))


def test_a_posterior_is_held_in_both_of_its_parts(kinds, made):
    def noisy(self, x):
        mean = kinds.coder._encode(self, x)
        return Posterior(mean, mean - x.mean())

    check_latent(
        made(
            type(
                "Honest",
                (kinds.coder,),
                {
                    "_encode": lambda self, x: Posterior(
                        kinds.coder._encode(self, x), kinds.coder._encode(self, x) - 3
                    )
                },
            )
        )
    )
    planted(kinds.coder, made, "that image alone", _encode=noisy)
