"""An answer is the same whatever state of the process surrounds the question, and the state is the same
afterwards."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import random
import threading
import warnings

import numpy as np
import pytest
import torch
import toys

import genzoo
from genzoo.evaluation.certificate import certify
from genzoo.evaluation.distances import kid
from genzoo.evaluation.gist import _bank, gist
from genzoo.explore import context, features, interpolation, latents, manifold, traversal
from genzoo.explore.completion import completed
from genzoo.models import ClassifyingModel, DensityModel, EncodingModel, GenerativeModel, LatentModel, golden
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.process import neutral, seed_global, undisturbed
from genzoo.registry import installed
from genzoo.testing.whole import small_config


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
        assert torch.get_default_device() == torch.device(device)
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def matmul_precision(word):
    torch.set_float32_matmul_precision(word)
    try:
        yield
        assert torch.get_float32_matmul_precision() == word
    finally:
        torch.set_float32_matmul_precision("highest")


@contextlib.contextmanager
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextlib.contextmanager
def four_threads():
    torch.set_num_threads(4)
    try:
        yield
    finally:
        torch.set_num_threads(1)


@contextlib.contextmanager
def at_once():
    with (
        default_dtype(torch.float64),
        default_device("meta"),
        torch.autocast("cpu", torch.bfloat16),
        torch.inference_mode(),
        deterministic(),
        matmul_precision("medium"),
        np.errstate(all="raise"),
        warnings_are_errors(),
    ):
        yield


STATES = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "no_grad": torch.no_grad,
    "set_grad_enabled": lambda: torch.set_grad_enabled(False),
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "meta": lambda: torch.device("meta"),
    "default device": lambda: default_device("meta"),
    "deterministic": deterministic,
    "matmul": lambda: matmul_precision("medium"),
    "numpy": lambda: np.errstate(all="raise"),
    "warnings": warnings_are_errors,
    "all at once": at_once,
}
in_each_state = pytest.mark.parametrize("state", STATES.values(), ids=STATES)

CARDS = (
    "gated-pixelcnn",
    "pixelrnn-diagonal",
    "vae2d-mnist",
    "vae-frey",
    "autoencoder",
    "gan",
    "dcgan",
    "wgan-gp-resnet",
    "features",
)


@pytest.fixture(scope="module", params=CARDS)
def model(request):
    """A small model of each kind."""
    if request.param not in installed().cards:
        pytest.skip("its plugin is not installed")
    config = small_config(installed().cards[request.param])
    if "pixel" in request.param:
        config.update(layers=2, image_shape=(1, 5, 4))
    return genzoo.create(request.param, seed=0, **config).eval()


@pytest.fixture(scope="module")
def expected(model):
    """Its answers in a fresh process."""
    return answers(model)


def black_and_white(model, n=3):
    levels = np.random.Philox(key=1).random_raw(n * int(np.prod(model.image_shape))) % 2
    return levels.reshape(n, *model.image_shape).astype(np.float32)


def answers(model):
    """Every answer of a model, by name."""
    found, x = {}, black_and_white(model)
    if isinstance(model, GenerativeModel):
        found["sample"], found["bytes"] = model.sample(3, seed=1), model.sample(2, seed=1, dtype=torch.uint8)
        found["batches"] = torch.cat(list(model.sample_batches(model.decode_chunk + 1, seed=1)))
    if isinstance(model, DensityModel):
        found["log_prob"] = model.log_prob(x)
        if model.levels:
            found["bits"] = model.bits_per_dim(x)
        if hasattr(model, "iwae"):
            found["iwae"], found["stderr"] = model.iwae(x, 3)
    if isinstance(model, AutoregressiveModel):
        mask = np.arange(x[0, 0].size).reshape(x.shape[2:]) < 7
        found["complete"] = model.complete(x[:1], mask, n=2, seed=3)
        found["ranked"] = model.complete_with_log_prob(x[:1], mask, n=2, seed=3)[1]
        found["share"] = model.completion_log_prob(x, mask)
        found["completed"] = completed(model, x[:1], mask, n=1, seed=2)
        found["context"] = context.context(model, images=1)
    if isinstance(model, LatentModel):
        z = found["latents"] = model.sample_latents(3, seed=2)
        found["decode"], found["list"] = model.decode(z), model.decode([[0.5] * model.latent_size])
        found["walk"], found["traverse"] = (
            interpolation.interpolate(model, 2, 3, seed=1),
            traversal.traverse(model, 0, 3, z[:1]),
        )
        if model.latent_size == 2:
            found["manifold"] = manifold.manifold(model, 3)
    if isinstance(model, EncodingModel):
        code = model.encode(x)
        found.update(
            {f"encode {i}": part for i, part in enumerate([code] if isinstance(code, torch.Tensor) else code)}
        )
        found["reconstruct"] = latents.reconstruct(model, x)
    if isinstance(model, ClassifyingModel):
        found["features"], found["classes"] = model.features(x), model.log_probs(x)
    with contextlib.suppress(genzoo.errors.ArgumentError):
        found["seen"] = features.features(model, x)
    found["golden"] = torch.tensor(
        [number for value in golden.record(model).values() for number in np.ravel(value)], device="cpu"
    )
    return found


class TestAnswers:
    @pytest.mark.parametrize("state", [at_once, torch.no_grad])
    def test_are_the_same_in_any_state(self, model, expected, state):
        model.train()
        with state():
            found = answers(model)
        assert model.training and not model.eval().training
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key].dtype == value.dtype and found[key].device == value.device, key
            assert torch.equal(found[key], value), key

    @in_each_state
    def test_samples_and_codes_are_the_same_in_each_state(self, state):
        net, coder, coin = toys.gan(), toys.Coder(toys.ToyConfig()), toys.Coins(toys.ToyConfig())
        expected = [answers(net), answers(coder), answers(coin)]
        with state():
            found = [answers(net), answers(coder), answers(coin)]
        for ours, theirs in zip(found, expected, strict=True):
            assert all(torch.equal(ours[key], value) for key, value in theirs.items())

    @in_each_state
    def test_measures_are_the_same_in_any_state(self, state):
        pixels = torch.from_numpy((np.random.Philox(key=3).random_raw(20 * 64) % 256).astype(np.uint8)).view(
            20, 1, 8, 8
        )
        _bank.cache_clear()
        expected = gist(pixels)
        _bank.cache_clear()
        coin = toys.Bernoulli(toys.ToyConfig(image_shape=(1, 2, 2)))
        with state():
            rows = gist(pixels)
            distance = kid(rows[:10], rows[10:])
            told = certify(coin, 2)
        # what was kept on the way serves afterwards
        assert torch.equal(rows, expected) and torch.equal(gist(pixels), expected)
        assert distance == kid(expected[:10], expected[10:])
        assert told == certify(coin, 2)

    @in_each_state
    def test_images_have_slopes_wherever_gradients_are_on(self, state):
        net = toys.gan()
        z = net.sample_latents(2, seed=0)
        expected = net.decode(z)
        with state():
            asked = z.detach().clone().requires_grad_()
            images, recording = net.decode(asked), torch.is_grad_enabled()
        torch.testing.assert_close(images.detach().clone(), expected, rtol=0, atol=1e-6)
        assert images.requires_grad == recording
        if recording:
            assert torch.autograd.grad(images.sum(), asked)[0].abs().max() > 0


class TestWeights:
    def test_are_float32_on_the_cpu_and_can_learn(self, model):
        card = next(
            card for card in installed().cards.values() if card.model.endswith(f":{type(model).__name__}")
        )
        with at_once():
            made = genzoo.create(card.name, seed=0, **dataclasses.asdict(model.config))
        for key, value in model.state_dict().items():
            other = made.state_dict()[key]
            assert other.dtype == value.dtype and other.device.type == "cpu" and torch.equal(other, value), (
                key
            )
        assert all(
            parameter.requires_grad and not parameter.is_inference() for parameter in made.parameters()
        )

    @pytest.mark.parametrize("state", [at_once, torch.no_grad, STATES["meta"]])
    def test_published_ones_are_loaded_so(self, state):
        name = "vae2d-mnist"
        if name not in installed().cards:
            pytest.skip("its plugin is not installed")
        expected = genzoo.load(name)
        with state():
            loaded = genzoo.load(name)
        assert all(
            torch.equal(loaded.state_dict()[key], value) for key, value in expected.state_dict().items()
        )
        for parameter in loaded.parameters():
            assert (
                parameter.dtype == torch.float32 and not parameter.is_inference() and parameter.requires_grad
            )
        loaded.log_prob(black_and_white(loaded))

    def test_are_a_function_of_the_seed(self, plug):
        plug(toys.CARDS["toy-gan"])
        one, same, other, any_ = (
            genzoo.create("toy-gan", seed=seed).generator[0].weight for seed in (0, 0, 1, None)
        )
        assert torch.equal(one, same) and not torch.equal(one, other) and not torch.equal(one, any_)
        with pytest.raises(genzoo.errors.ArgumentError, match="seed"):
            genzoo.create("toy-gan", seed=-1)


def generators():
    """The state of every generator that a user might count on."""
    return torch.get_rng_state().tolist(), [str(part) for part in np.random.get_state()], random.getstate()


class TestGenerators:
    def test_are_left_as_they_were(self, plug, tmp_path):
        plug(*toys.CARDS.values())
        before = generators()
        net = genzoo.create("toy-gan")
        assert generators() == before
        net.sample(2)
        net.decode(net.sample_latents(2))
        assert generators() == before
        genzoo.train("toy-gan", out=tmp_path / "run", steps=2, device="cpu", quiet=True)
        assert generators() == before

    def test_are_put_back_after_an_error(self):
        before = generators()
        with pytest.raises(ZeroDivisionError), undisturbed():
            seed_global(1, torch.device("cpu"))
            np.random.seed(1)
            random.seed(1)
            raise ZeroDivisionError
        assert generators() == before

    @pytest.mark.parametrize("state", [at_once, torch.no_grad])
    def test_training_gives_the_same_weights_in_any_state(self, plug, tmp_path, state):
        plug(*toys.CARDS.values())
        made = {}
        for folder, around in (("a", contextlib.nullcontext), ("b", state)):
            with around():
                outcome = genzoo.train("toy-gan", out=tmp_path / folder, steps=2, device="cpu", quiet=True)
            made[folder] = outcome.weights.read_bytes()
        assert made["a"] == made["b"]


class TestThreads:
    def test_neither_lose_the_mode_of_a_model_nor_mix_states(self):
        net = toys.gan(norm=True).train()
        expected = net.sample(40, seed=0)
        begin, wrong = threading.Barrier(4), []

        def ask():
            begin.wait()
            wrong.extend(n for n in range(20) if not torch.equal(net.sample(40, seed=0), expected))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        begin.wait()
        for thread in threads:
            thread.join()
        assert not wrong
        assert all(module.training for module in net.modules())

    def test_the_last_to_leave_puts_the_mode_back(self):
        net, steps = toys.gan().train(), [threading.Event() for _ in range(3)]

        def ask():
            with net.evaluating():
                steps[0].set()
                steps[1].wait(10)

        other = threading.Thread(target=ask)
        with net.evaluating():
            other.start()
            steps[0].wait(10)
        assert not net.training  # the other is still asking
        steps[1].set()
        other.join()
        assert net.training and net.generator.training

    def test_a_mode_that_is_set_inside_is_put_back_inside(self):
        net = toys.gan().train()
        with net.evaluating():
            net.discriminator.train()
            net.sample(1)
            assert net.discriminator.training and not net.generator.training
        assert net.training and net.generator.training

    def test_the_default_dtype_comes_back_with_the_last(self):
        entered, leave = threading.Event(), threading.Event()

        def ask():
            with neutral():
                entered.set()
                leave.wait(10)

        with default_dtype(torch.float64):
            other = threading.Thread(target=ask)
            with neutral():
                other.start()
                entered.wait(10)
            assert torch.get_default_dtype() == torch.float32  # the other still counts on it
            leave.set()
            other.join()
            assert torch.get_default_dtype() == torch.float64


class TestFormats:
    @pytest.mark.parametrize("convert", ["half", "bfloat16", "double"])
    def test_a_model_in_another_format_answers_in_float32(self, model, convert):
        """The answers are those of the rounded weights."""
        rounded = copy.deepcopy(model)
        with torch.no_grad():
            for value in (*rounded.parameters(), *rounded.buffers()):
                if value.is_floating_point():
                    value.copy_(getattr(value, convert)())
        expected, other = answers(rounded), getattr(copy.deepcopy(model), convert)()
        kind = next(other.parameters()).dtype
        found = answers(other)
        assert kind != torch.float32 and {parameter.dtype for parameter in other.parameters()} == {kind}
        for key, value in expected.items():
            assert found[key].dtype == value.dtype, key
            torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-3, msg=key)

    @pytest.mark.parametrize("convert", ["half", "bfloat16", "double"])
    def test_gradients_reach_z_and_the_weights(self, convert):
        net = getattr(toys.gan(), convert)()
        z = net.sample_latents(2, seed=0).requires_grad_()
        net.decode(z).sum().backward()
        assert z.grad.abs().max() > 0
        assert all(
            weight.grad is not None and weight.grad.dtype == weight.dtype
            for weight in net.generator.parameters()
        )

    def test_a_model_without_numbers_says_so(self, model):
        empty = copy.deepcopy(model).to("meta")
        asked = [
            name
            for name in ("sample", "log_prob", "decode", "encode", "features")
            if callable(getattr(type(empty), name, None))
        ]
        assert asked
        for name in asked:
            given = {"sample": 1, "decode": [[0.0] * getattr(empty, "latent_size", 1)]}.get(
                name, black_and_white(empty)
            )
            with pytest.raises((genzoo.errors.ArgumentError, genzoo.errors.NoDensityError)):
                getattr(empty, name)(given)
