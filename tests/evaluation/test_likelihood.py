"""Likelihood records: value, unit, kind, transform, split, n and standard error."""

import math

import numpy as np
import pytest
import torch
from flow_toys import DequantisedFlow, Flow, FlowConfig
from toys import Bernoulli, Coins, ToyConfig

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation import difference, importance, likelihood, rank
from genzoo.evaluation.likelihood import CHUNK, FEW, OF_REALS
from genzoo.law import LawError


def black_and_white(n=150, shape=(1, 8, 8), **facts):
    pixels = np.random.default_rng(0).integers(0, 2, (n, *shape), dtype=np.uint8) * np.uint8(255)
    return Images(
        pixels=pixels, **{"name": "coins", "split": "test", "transform": "static-binarised", **facts}
    )


def coin(cls=Bernoulli, **members):
    model = type("Coin", (cls,), {"levels": 2, **members})(ToyConfig())
    with torch.no_grad():
        model.logits.copy_(torch.linspace(-2, 2, 64).view(1, 8, 8))
    return model


def test_the_value_is_the_mean_over_all_images_in_both_units():
    model, images = coin(), black_and_white()
    whole, single = likelihood(model, images, subject="coin")
    values = -model.log_prob(images.float()).double()
    assert whole.value == pytest.approx(float(values.mean()), rel=1e-6)
    assert whole.stderr == pytest.approx(float(values.std()) / math.sqrt(150), rel=1e-5)
    scale = 64 * math.log(2)
    assert (single.value * scale, single.stderr * scale) == (
        pytest.approx(whole.value),
        pytest.approx(whole.stderr),
    )
    assert (whole.unit, single.unit) == ("nats", "bits/dim")
    for record in (whole, single):
        assert (record.metric, record.kind, record.n, record.data, record.split) == (
            "nll",
            "exact",
            150,
            "coins",
            "test",
        )
        assert (record.transform, record.subject, record.better) == ("static-binarised", "coin", "lower")


def test_an_exact_value_and_a_bound_read_differently():
    images = black_and_white()
    assert "nll of coin: = " in str(likelihood(coin(), images, subject="coin")[1]) and "bits/dim" in str(
        likelihood(coin(), images)[1]
    )
    assert "nll of coin: ≤ " in str(likelihood(coin(exact=False), images, subject="coin")[1])


def test_exact_and_bound_nats_and_bits_are_not_ranked_together():
    images = black_and_white()
    (nats, bits), (bound, _) = likelihood(coin(), images), likelihood(coin(exact=False), images)
    dynamic = likelihood(coin(), images.replace(transform="dynamic-binarised"))[0]
    for other, words in (
        (bits, "nats count whole images"),
        (bound, "a bound"),
        (dynamic, "binarised and 8-bit|transform differs"),
    ):
        with pytest.raises(ArgumentError, match=words):
            rank([nats, other])
    assert "n differs" in difference(nats, likelihood(coin(), images, 20)[0])
    assert rank([nats, likelihood(coin(), images, subject="b")[0]])


def test_another_estimate_names_its_kind():
    model, images = coin(), black_and_white(10)
    record = likelihood(
        model, images, log_prob=lambda x: model.log_prob(x) - 1, kind="iwae", protocol="K = 500"
    )[0]
    assert (record.kind, record.protocol) == ("iwae", "K = 500")
    assert record.value == pytest.approx(likelihood(model, images)[0].value + 1)
    with pytest.raises(ArgumentError, match="kind must say"):
        likelihood(model, images, log_prob=model.log_prob)


def test_a_part_is_a_fixed_choice():
    model, images = coin(), black_and_white()
    few = likelihood(model, images, 20)[0]
    assert few == likelihood(model, images, 20)[0] and few.n == 20
    assert few.value != likelihood(model, images, 20, seed=1)[0].value
    assert likelihood(model, images, 1000)[0].n == 150
    assert likelihood(model, images, 1)[0].stderr is None


def test_images_are_asked_a_few_at_a_time_and_progress_is_told():
    sizes, told = [], []
    model, images = coin(), black_and_white()

    def asked(x):
        sizes.append(len(x))
        return model.log_prob(x)

    likelihood(model, images, log_prob=asked, kind="exact", progress=lambda *state: told.append(state))
    assert sizes == [CHUNK, CHUNK, 150 - 2 * CHUNK]
    assert told[-1] == ("likelihood", 150, 150) and [done for _, done, _ in told] == [64, 128, 150]


def test_grey_levels_for_a_model_of_black_and_white_are_refused():
    with pytest.raises(ArgumentError, match=r"models black and white only.*binarized-mnist"):
        likelihood(coin(), black_and_white(transform="8-bit"))


def test_other_images_are_refused():
    with pytest.raises(
        ArgumentError, match=r"images of the shape \(1, 4, 4\), but the model expects \(1, 8, 8\)"
    ):
        likelihood(coin(), black_and_white(shape=(1, 4, 4)))
    with pytest.raises(ArgumentError, match="10 of 10 images of coins have no finite likelihood"):
        likelihood(
            coin(_log_prob=lambda self, x: Bernoulli._log_prob(self, x) - math.inf), black_and_white(10)
        )
    with pytest.raises(ArgumentError, match="n must be a whole number"):
        likelihood(coin(), black_and_white(), 0)


class TestImportance:
    def test_every_k_is_a_bound_in_both_units(self):
        model, images = Coins(ToyConfig()), black_and_white(40)
        records = importance(model, images, (20, 1, 20), subject="coins")
        assert [(r.protocol, r.unit) for r in records] == [
            (f"K = {k}", unit) for k in (1, 20) for unit in ("nats", "bits/dim")
        ]
        for k, record in ((1, records[0]), (20, records[2])):
            values = -model.iwae(images.float(), k).bound.double()
            assert record.value == pytest.approx(float(values.mean()), rel=1e-6)
            assert record.stderr == pytest.approx(float(values.std()) / math.sqrt(40), rel=1e-5)
        for record in records:
            assert (record.metric, record.kind, record.n, record.subject) == ("nll", "iwae", 40, "coins")
            assert (record.data, record.split, record.transform) == ("coins", "test", "static-binarised")
        assert records[2].value * (1 / (64 * math.log(2))) == pytest.approx(records[3].value)

    def test_it_is_printed_as_a_bound_with_its_k(self):
        record = importance(Coins(ToyConfig()), black_and_white(5), [7], subject="coins")[0]
        assert str(record).startswith(
            "nll of coins: ≤ "
        ) and " nats (IWAE, K = 7, n = 5, coins test, static-binarised)" in str(record)

    def test_bounds_of_different_k_are_not_ranked_together(self):
        few, _, many, _ = importance(Coins(ToyConfig()), black_and_white(5), [1, 50])
        with pytest.raises(ArgumentError, match="protocol differs, 'K = 1' and 'K = 50'"):
            rank([few, many])
        elbo = likelihood(Coins(ToyConfig()), black_and_white(5))[0]
        assert "kind differs" in difference(elbo, few) and "(ELBO, n = 5" in str(elbo)

    def test_a_density_of_real_pixels_is_told_from_a_mass(self):
        dense = type("Dense", (Coins,), {"levels": 0})(ToyConfig())
        (record,) = importance(dense, grey(5, (1, 8, 8)), [1])
        assert (record.protocol, record.unit) == ("K = 1, density of real-valued pixels", "nats")

    def test_one_pass_with_a_few_images_at_a_time(self):
        asked, told = [], []

        class Spy(Coins):
            def _log_weights(self, x, k, seed):
                asked.append((len(x), k, seed))
                return super()._log_weights(x, k, seed)

        importance(
            Spy(ToyConfig()),
            black_and_white(40),
            [1, 9, 4],
            seed=2,
            progress=lambda *state: told.append(state),
        )
        assert asked == [(FEW, 9, 2), (FEW, 9, 2), (40 - 2 * FEW, 9, 2)]
        assert told == [("IWAE-9", 16, 40), ("IWAE-9", 32, 40), ("IWAE-9", 40, 40)]

    def test_a_part_is_the_part_that_the_elbo_was_told_of(self):
        model, images = Coins(ToyConfig()), black_and_white()
        seen = []
        importance(model, images, [1], 20, 3, progress=lambda *state: seen.append(state))
        assert seen[-1] == ("IWAE-1", 20, 20)
        assert (
            importance(model, images, [1], 20, 3)[0].value != importance(model, images, [1], 20, 4)[0].value
        )

    @pytest.mark.parametrize("ks", [[0], [5, -1], [1.5], [], "50"])
    def test_wrong_numbers_of_draws(self, ks):
        with pytest.raises(ArgumentError, match=r"k must be a whole number of at least 1|ks must be a list"):
            importance(Coins(ToyConfig()), black_and_white(5), ks)

    def test_images_without_a_finite_bound_are_counted_once(self):
        broken = type(
            "Broken",
            (Coins,),
            {"log_likelihood": lambda self, x, z: Coins.log_likelihood(self, x, z) - math.inf},
        )(ToyConfig())
        with pytest.raises(ArgumentError, match="5 of 5 images of coins have no finite likelihood"):
            importance(broken, black_and_white(5), [1, 3])


def grey(n=12, shape=(1, 4, 4)):
    pixels = np.random.default_rng(1).integers(1, 255, (n, *shape), dtype=np.uint8)
    return Images(pixels=pixels, name="grey", split="test", transform="8-bit")


class TestWhatTheProbabilityIsOf:
    def test_a_density_of_real_numbers_has_nats_and_no_bits(self):
        records = likelihood(Flow(FlowConfig()), grey(), subject="flow")
        assert [(r.unit, r.kind, r.protocol) for r in records] == [("nats", "exact", OF_REALS)]

    def test_a_dequantised_bound_has_both_units(self):
        records = likelihood(DequantisedFlow(FlowConfig()), grey(), subject="flow")
        assert [(r.unit, r.kind) for r in records] == [("nats", "elbo"), ("bits/dim", "elbo")]
        assert OF_REALS not in records[0].protocol and records[1].value > 0

    def test_the_two_are_not_ranked_together(self):
        dense, bound = (likelihood(cls(FlowConfig()), grey())[0] for cls in (Flow, DequantisedFlow))
        assert difference(dense, bound)

    def test_a_probability_above_one_is_no_likelihood(self):
        """A narrow flow that calls its density a mass: -105 nats of an 8-bit image were printed as -2.37
        bits/dim."""
        sharp = type("Sharp", (Flow,), {"exact": False, "levels": 256})(FlowConfig())
        with torch.no_grad():
            sharp.shift.zero_(), sharp.log_scale.fill_(-4)
        even = grey().replace(pixels=np.full((5, 1, 4, 4), 128, dtype=np.uint8))
        with pytest.raises(LawError, match=r"no image is more probable than 1.*levels = 256.*levels = 0"):
            likelihood(sharp, even)

    def test_black_and_white_images_have_no_density(self):
        with pytest.raises(ArgumentError, match="a density can grow without bound"):
            likelihood(Flow(FlowConfig()), black_and_white(shape=(1, 4, 4)))
