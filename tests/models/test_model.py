"""What the public methods promise for every model: the same images in any batch, checked arguments, modes
left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys
from torch import nn
from toys import Bernoulli, Coder, ToyConfig, ToyGAN, UniformGAN

from genzoo import Card, Family
from genzoo.errors import ArgumentError, CardError, UnknownNameError
from genzoo.models import (
    AdversarialModel,
    DensityModel,
    GenerativeModel,
    ImplicitModel,
    LatentModel,
    Model,
    model,
)
from genzoo.models.model import check_count

SAMPLERS = {
    "gan": toys.gan,
    "uniform": lambda: UniformGAN(ToyConfig()),
    "bernoulli": lambda: Bernoulli(ToyConfig()),
}
WRONG_COUNTS = [
    0,
    -1,
    -(10**30),
    1.5,
    16.0,
    True,
    False,
    "3",
    b"3",
    None,
    [],
    (3,),
    np.float32(3),
    np.bool_(True),
    np.arange(2),
    torch.tensor(2.0),
    float("nan"),
    pytest.param(-(10**5000), id="-huge"),
    pytest.param(10**5000, id="huge"),
]


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    return SAMPLERS[request.param]()


class TestSample:
    @pytest.mark.parametrize("seed", [0, 2**63 - 1])
    def test_an_image_of_a_seed_does_not_depend_on_n(self, sampler, seed):
        whole = sampler.sample(40, seed=seed)
        assert whole.shape == (40, 1, 8, 8)
        for n in (1, 3, 16, 17):
            assert torch.equal(sampler.sample(n, seed=seed), whole[:n]), n

    def test_seeds_differ_and_none_is_fresh(self, sampler):
        drawn = [sampler.sample(2, seed=seed) for seed in (0, 1, None, None)]
        assert len({tuple(images.flatten().tolist()) for images in drawn}) == 4

    def test_convention(self, sampler):
        images = sampler.sample(3, seed=0)
        assert (images.dtype, images.device, images.requires_grad) == (torch.float32, sampler.device, False)
        assert images.min() >= 0 and images.max() <= 1
        assert images.is_contiguous()
        images.add_(1)  # an ordinary tensor, not one of inference mode
        assert not images.is_inference()

    def test_uint8(self, sampler):
        levels = sampler.sample(18, seed=0, dtype=torch.uint8)
        assert levels.dtype == torch.uint8
        assert torch.equal(levels, (sampler.sample(18, seed=0) * 255).round().to(torch.uint8))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.int64, "uint8", None, float])
    def test_other_dtypes_are_refused(self, sampler, dtype):
        with pytest.raises(ArgumentError, match="dtype must be"):
            sampler.sample(1, dtype=dtype)

    @pytest.mark.parametrize("n", WRONG_COUNTS)
    def test_wrong_n_is_refused_at_once_and_in_one_line(self, sampler, n):
        for ask in (sampler.sample, sampler.sample_batches):
            with pytest.raises(ArgumentError, match="n must be a whole number of at least 1, not") as caught:
                ask(n)
            assert str(caught.value).isprintable()

    @pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
    def test_wrong_seed_is_refused_at_once(self, sampler, seed):
        for ask in (sampler.sample, sampler.sample_batches):
            with pytest.raises(ArgumentError, match="seed must"):
                ask(1, seed=seed)

    @pytest.mark.parametrize("n", [np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
    def test_numbers_of_other_libraries_are_numbers(self, sampler, n):
        assert torch.equal(sampler.sample(n, seed=0), sampler.sample(3, seed=np.int32(0)))

    def test_more_than_the_memory_is_answered_with_what_it_would_need(self, sampler, monkeypatch):
        monkeypatch.setattr(model, "_memory", lambda: 10 * 2**30)
        with pytest.raises(
            ArgumentError, match=r"n=1000000000 would need 238\.4 GiB, but this machine has 10\.0 GiB"
        ) as caught:
            sampler.sample(10**9)
        assert "sample_batches" in caught.value.hint
        with pytest.raises(ArgumentError, match=r"need 59\.6 GiB"):
            sampler.sample(10**9, dtype=torch.uint8)
        with pytest.raises(ArgumentError, match="GiB"):
            sampler.sample(2**63 - 1)

    def test_the_memory_of_this_machine_is_known(self):
        assert 2**28 < model._memory() < 2**50


class TestBatches:
    def test_same_images(self, sampler):
        batches = list(sampler.sample_batches(37, seed=4))
        assert [len(batch) for batch in batches] == [16, 16, 5]
        assert torch.equal(torch.cat(batches), sampler.sample(37, seed=4))

    def test_memory_does_not_grow_with_n(self, sampler):
        """A billion images may be asked for: they are drawn as they are taken, and a batch holds no more than
        itself."""
        batches = sampler.sample_batches(10**9, seed=0, dtype=torch.uint8)
        first = next(batches)
        assert first.untyped_storage().nbytes() <= 16 * 64 * 4
        assert not torch.equal(first, next(batches))

    def test_a_batch_is_an_ordinary_tensor(self, sampler):
        for dtype in (torch.float32, torch.uint8):
            (batch,) = sampler.sample_batches(2, seed=0, dtype=dtype)
            batch.mul_(0)
            assert not batch.is_inference()


class TestProgress:
    def test_it_is_told_in_pixels_after_each_batch(self, sampler):
        told = []
        images = sampler.sample(37, seed=0, progress=lambda done, total: told.append((done, total)))
        assert told == [(n * 64, 37 * 64) for n in (16, 32, 37)]
        assert torch.equal(images, sampler.sample(37, seed=0))

    def test_what_cannot_be_called_is_refused_at_once(self, sampler):
        for ask in (sampler.sample, sampler.sample_batches):
            with pytest.raises(
                ArgumentError, match=r"progress must be a function of \(done, total\), not True"
            ):
                ask(1, progress=True)


class TestModes:
    @pytest.mark.parametrize("training", [True, False])
    def test_mode_and_statistics_are_left_alone(self, training):
        """Also where parts were left in different modes; and no answer depends on them."""
        net = toys.gan()
        net.train(training)
        net.generator[1].train(not training)
        before = [(m, m.training) for m in net.modules()]
        state = {key: value.clone() for key, value in net.state_dict().items()}
        images, z = net.sample(2, seed=0), net.sample_latents(3, seed=0)
        decoded = net.decode(z)
        assert before == [(m, m.training) for m in net.modules()]
        assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
        assert torch.equal(images, toys.gan().eval().sample(2, seed=0))
        assert torch.equal(decoded, toys.gan().eval().decode(z))

    def test_mode_comes_back_after_an_error(self):
        class Broken(ToyGAN):
            def _sample(self, draws):
                raise RuntimeError("broken")

        net = Broken(ToyConfig()).train()
        with pytest.raises(RuntimeError, match="broken"):
            net.sample(1)
        assert all(m.training for m in net.modules())


class TestClasses:
    @pytest.mark.parametrize(
        "name", ["sample", "sample_batches", "decode", "sample_latents", "log_prob", "bits_per_dim", "encode"]
    )
    def test_overriding_a_public_method_is_refused(self, name):
        with pytest.raises(CardError, match=rf"Sly overrides the public method {name}\(\)") as caught:
            type("Sly", (ToyGAN,), {name: lambda self: None})
        assert f"_{name}()" in caught.value.hint

    def test_also_through_a_mixin(self):
        class Mixin:
            def sample(self, n):
                return torch.zeros(n)

        with pytest.raises(CardError, match="public method sample"):
            type("Sly", (Mixin, ToyGAN), {})
        type("Harmless", (ToyGAN, Mixin), {})  # behind the checked method

    @pytest.mark.parametrize(
        "bases", [(DensityModel, ImplicitModel), (ImplicitModel, DensityModel), (Bernoulli, ToyGAN)]
    )
    def test_explicit_and_implicit_is_refused(self, bases):
        with pytest.raises(CardError, match="both a DensityModel and an ImplicitModel"):
            type("Both", bases, {"exact": True})

    def test_families(self):
        assert ToyGAN.family is Family.IMPLICIT
        assert Bernoulli.family is Family.TRACTABLE
        assert type("Bound", (DensityModel,), {"exact": False}).family is Family.APPROXIMATE
        assert Coder.family is Family.AUTOENCODER
        for abstract in (Model, GenerativeModel, LatentModel, DensityModel):
            assert abstract.family is None
        assert not hasattr(Coder, "sample")

    @pytest.mark.parametrize("base", [Model, GenerativeModel, LatentModel, DensityModel, ImplicitModel])
    def test_the_abstract_classes_carry_no_state(self, base):
        assert "__init__" not in vars(base)

    def test_a_sample_of_the_wrong_shape_is_named(self):
        class Odd(ToyGAN):
            def _sample(self, draws):
                return torch.zeros(draws.n, 3, 8, 8)

        with pytest.raises(
            CardError, match=r"Odd\._sample returned images of shape \(3, 8, 8\), not \(1, 8, 8\)"
        ):
            Odd(ToyConfig()).sample(1)

    def test_values_outside_the_range_are_clamped(self):
        class Loud(ToyGAN):
            def _sample(self, draws):
                return torch.full((draws.n, 1, 8, 8), 1.5)

        assert Loud(ToyConfig()).sample(1).max() == 1


class TestBuild:
    def test_forgotten_methods_are_named(self):
        card = Card(name="x", family=Family.IMPLICIT, model=f"{__name__}:Forgetful")
        with pytest.raises(CardError, match="does not define _decode, _discriminate —"):
            _with_class(card, type("Forgetful", (AdversarialModel,), {"Config": ToyConfig}))

    def test_family_and_class_must_agree(self):
        with pytest.raises(CardError, match="says family 'tractable', but toys:ToyGAN is 'implicit'"):
            toys.CARDS["toy-gan"].replace(family=Family.TRACTABLE).build()

    def test_unknown_config_key(self):
        with pytest.raises(UnknownNameError, match=r"unknown key 'widht'; did you mean 'width'\?"):
            toys.CARDS["toy-gan"].build(widht=3)

    @pytest.mark.parametrize(
        "config",
        [
            {"width": 0},
            {"width": 10**12},
            {"width": 1.5},
            {"width": True},
            {"image_shape": (1, 8)},
            {"image_shape": (1, 8, -8)},
            {"norm": 1},
        ],
    )
    def test_config_out_of_range(self, config):
        with pytest.raises(ArgumentError, match=f"config of toy-gan: {next(iter(config))}"):
            toys.CARDS["toy-gan"].build(**config)

    def test_config_is_kept(self):
        net = toys.CARDS["toy-gan"].build(image_shape=[3, 24, 40], width=2)
        assert net.image_shape == (3, 24, 40)
        assert net.sample(2, seed=0).shape == (2, 3, 24, 40)


def _with_class(card, found):
    globals()[found.__name__] = found
    import sys

    sys.modules.setdefault(card.model.partition(":")[0], sys.modules[__name__])
    return card.build()


class TestImages:
    @pytest.mark.parametrize(
        ("x", "told"),
        [
            (torch.zeros(2, 3, 8, 8), r"\(2, 3, 8, 8\)"),
            (torch.zeros(2, 1, 8, 9), r"\(2, 1, 8, 9\)"),
            (torch.zeros(1, 8, 8), r"\(1, 8, 8\)"),
            (torch.zeros(2, 1, 8, 8, dtype=torch.int64), "int64"),
            (torch.zeros(2, 1, 8, 8, dtype=torch.bool), "bool"),
            (torch.full((2, 1, 8, 8), 1.01), "1.01"),
            (torch.full((2, 1, 8, 8), -0.01), r"lie in \[0, 1\]"),
            (torch.full((2, 1, 8, 8), float("nan")), "(?i)nan"),
            (torch.full((2, 1, 8, 8), float("inf")), "inf"),
            ("images", "str"),
            (None, "NoneType"),
        ],
    )
    def test_wrong_images_are_refused_by_name(self, x, told):
        with pytest.raises(ArgumentError, match=told) as caught:
            Bernoulli(ToyConfig()).log_prob(x)
        assert "x" in caught.value.message and str(caught.value).isprintable()

    def test_uint8_is_accepted_and_scaled(self):
        net = Bernoulli(ToyConfig())
        nn.init.uniform_(net.logits, -1, 1)
        x = torch.randint(0, 2, (3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
        assert torch.equal(net.log_prob((x * 255).to(torch.uint8)), net.log_prob(x.float()))
        assert torch.equal(net.log_prob(x.numpy().astype(np.float64)), net.log_prob(x.float()))


def test_check_count_names_its_argument():
    with pytest.raises(ArgumentError, match="steps must be a whole number of at least 1, not 0"):
        check_count(0, "steps")
