"""The certificate: honest pixel models get one, every published bug is refused by the law that it breaks."""

import dataclasses

import pixel_toys as toys
import pytest
import torch
from flow_toys import Flow, FlowConfig
from toys import Bernoulli, ToyConfig

from genzoo.evaluation import certificate as room
from genzoo.evaluation import certificate_of, certify, laws
from genzoo.law import LawError
from genzoo.testing import check_density


def made(cls, **config):
    return cls(cls.Config(**config)).eval()


HONEST = [
    (toys.ToyCNN, {}, 2),
    (toys.ToyCNN, {"image_shape": (3, 8, 8), "levels": 4}, 4),
    (toys.ToyCNN, {"levels": 256}, 256),
    (toys.ToyGated, {}, 2),
    (toys.ToyDiagonal, {"image_shape": (1, 9, 5)}, 2),
]


@pytest.mark.parametrize(("cls", "config", "levels"), HONEST)
def test_honest_models_are_certified(cls, config, levels):
    model = made(cls, **config)
    found = certify(model)
    assert (found.model, found.levels, found.possible) == (cls.__name__, levels, 84)
    assert found.seen == 84 if model.full_context else 0 < found.seen < 84
    assert "Σ p(x) = 1 over" in str(found) and "no gradient from later pixels" in str(found)
    assert ("R → G → B" in str(found)) is (model.image_shape[0] == 3)


PUBLISHED = {
    "mask B in the first layer": (
        toys.LeakyCNN,
        {},
        "sees itself or a later one",
        r"pixel \d,\d sees itself",
        "mask A in the first layer",
    ),
    "mask B in the first layer, colour": (
        toys.LeakyCNN,
        {"image_shape": (3, 8, 8)},
        "sees itself",
        r"\(red\) sees itself",
        "mask A",
    ),
    "no shift from right to left": (
        toys.UnshiftedDiagonal,
        {},
        "a later one",
        r"pixel 0,0 sees pixel 0,\d",
        "shifted down one row",
    ),
    "same padding": (
        toys.SameDiagonal,
        {},
        "a later one",
        r"pixel 0,3 sees pixel 1,0",
        "padded at the top only",
    ),
    "blind spot": (
        toys.BlindGated,
        {},
        "every earlier one",
        r"\d\d of 84, from 6,6 never \d,0",
        "vertical stack that is itself",
    ),
    "colour order": (
        toys.ColourlessCNN,
        {"image_shape": (3, 8, 8)},
        "green sees red",
        "green never sees red",
        "R → G → B",
    ),
}


@pytest.mark.parametrize("bug", PUBLISHED)
def test_every_published_bug_is_refused_with_law_sight_and_place(bug):
    cls, config, law, seen, look = PUBLISHED[bug]
    with pytest.raises(LawError, match=seen) as caught:
        certify(made(cls, **config))
    assert law in caught.value.law and look in caught.value.where
    with pytest.raises(LawError, match=seen):
        check_density(made(cls, **{**config, "image_shape": (config.get("image_shape", (1,))[0], 5, 5)}))


def refused(words, cls=toys.ToyCNN, config=None, **members):
    with pytest.raises(LawError, match=words):
        certify(made(type("Broken", (cls,), members), **(config or {})))


def test_a_blue_that_sees_a_later_colour_is_refused():
    def backwards(self, x):
        return toys.ToyCNN._predict(self, x.flip(1)).flip(2)

    refused(
        r"\(red\) sees pixel \d,\d \((green|blue)\).*R → G → B",
        config={"image_shape": (3, 8, 8)},
        _predict=backwards,
    )


def test_a_wrong_normaliser_is_refused():
    refused(
        r"p\(pixel . earlier pixels\) sums to 1; seen: Σ = 1\.\d+ over the 2 values", _log_mass=_unnormalised
    )


def _unnormalised(self, told, level):
    return toys.PixelToy._log_mass(self, told, level) + 0.05


def test_a_head_that_is_told_the_answer_is_refused():
    """No gradient shows it: the parameters are honest, their meaning is not."""

    def sharper(self, told, level):
        return (1.3 * told).log_softmax(1).gather(1, level[:, None])[:, 0] + 0.2 * level

    refused("sums to 1", _log_mass=sharper)


def test_terms_that_are_not_log_prob_are_refused():
    refused("is the sum of", _log_prob=lambda self, x: self._log_conditionals(x).sum((1, 2, 3)) - 1)


def test_a_sampler_of_another_distribution_is_refused():
    refused("as often as p", _quantile=lambda self, told, u: toys.PixelToy._quantile(self, 0.5 * told, u))
    refused("as often as p", _quantile=lambda self, told, u: toys.PixelToy._quantile(self, told, u**1.3))


def test_samples_between_the_levels_are_refused():
    refused("levels of the model", _sample=lambda self, draws: draws.uniform(*self.image_shape).float())


def test_a_head_that_begins_at_zero_hides_nothing():
    class Quiet(toys.LeakyCNN):
        def build(self, *sizes):
            super().build(*sizes)
            with torch.no_grad():
                self.out.zero_()

    with pytest.raises(LawError, match="sees itself"):
        certify(made(Quiet))


def test_the_weights_at_hand_are_held_to_noise():
    """A class may be honest and its weights not: here an answer leaks in only after training."""

    class Late(toys.ToyCNN):
        def build(self, *sizes):
            super().build(*sizes)
            self.register_buffer("trained", torch.zeros(()))

        def _log_mass(self, told, level):
            return super()._log_mass(told, level) * (1 - self.trained)

    model = made(Late)
    assert certificate_of(model) is certificate_of(model)
    model.trained.fill_(0.9)
    with pytest.raises(LawError, match="noise is never coded below its entropy"):
        certificate_of(model)


def test_noise_costs_its_entropy():
    model = made(toys.ToyCNN, image_shape=(1, 16, 16))
    laws.check_noise(model, 2, "here")
    cheap = type("Cheap", (toys.ToyCNN,), {"_log_mass": lambda self, told, level: told[:, 0] * 0 - 0.6})
    with pytest.raises(LawError, match=r"153\.6 nats per image, its entropy is 177\.4"):
        laws.check_noise(made(cheap, image_shape=(1, 16, 16)), 2, "here")


def test_an_exact_density_without_order_is_counted():
    coin = type("Coin", (Bernoulli,), {"levels": 2})(ToyConfig())
    found = certify(coin)
    assert found.seen is found.possible is None and "512 images" in found.checked[0]


def test_a_density_of_real_numbers_is_not_summed():
    found = certify(Flow(FlowConfig()))
    assert (
        found.levels == 0
        and str(found).startswith("Flow [")
        and "], real numbers: ∫ p(x) dx = 1" in str(found)
    )


def test_a_certificate_belongs_to_a_class_and_a_config():
    model = made(toys.ToyCNN)
    one, other = room.digest(model), room.digest(made(toys.ToyCNN, width=4))
    assert one != other and one == room.digest(made(toys.ToyCNN)) and certify(model).config == one
    with pytest.raises(dataclasses.FrozenInstanceError):
        certify(model).seen = 84


@pytest.mark.parametrize(("cls", "config", "laws_"), [(toys.ToyCNN, {}, 7), (toys.ToyCNN, {"levels": 4}, 9)])
def test_progress_is_told_after_each_law(cls, config, laws_):
    told = []
    certify(made(cls, **config), progress=lambda *state: told.append(state))
    assert told == [("certificate", number, laws_) for number in range(1, laws_ + 1)]


def test_a_refusal_is_never_remembered_as_a_certificate():
    """Nor is the certificate of an honest class of the same name and config that of another."""
    honest, leaking = (
        type("Twin", (cls,), {})(toys.PixelConfig()).eval() for cls in (toys.ToyCNN, toys.LeakyCNN)
    )
    assert room.digest(honest) == room.digest(leaking)
    certificate_of(honest)
    for _ in range(2):
        with pytest.raises(LawError, match="sees itself"):
            certificate_of(leaking)


def test_check_density_returns_it():
    assert check_density(made(toys.ToyGated, image_shape=(1, 3, 3))).seen == 84
