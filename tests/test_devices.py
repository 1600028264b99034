"""A device without float64, as Apple's is: models are trained, sampled and measured on it."""

from __future__ import annotations

import math

import alike
import conditional_toys
import numpy as np
import pixel_toys
import pytest
import torch
import toys
from fake_device import MPS, fake_device

from genzoo.devices import doubled, has_float64, widest
from genzoo.evaluation.scoring import score_model
from genzoo.models import GenerativeModel, importance
from genzoo.request import Request
from genzoo.rng import Rng
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.parallel import World


@pytest.fixture
def mps(monkeypatch):
    with fake_device(monkeypatch):
        yield MPS


class TestTheFake:
    def test_it_refuses_float64(self, mps):
        x = torch.ones(3, device=mps)
        assert x.device == MPS and x.cpu().device.type == "cpu" and (x + 1).device == MPS
        for wrong in (x.double, lambda: x.to(torch.float64), lambda: torch.ones(1).double().to(mps)):
            with pytest.raises(TypeError, match="float64"):
                wrong()
        assert x.cpu().double().dtype == torch.float64

    def test_it_refuses_two_devices(self, mps):
        with pytest.raises(RuntimeError, match="one device"):
            torch.ones(3, device=mps) + torch.ones(3)

    def test_a_module_moves(self, mps):
        net = torch.nn.Linear(2, 1).to(mps)
        assert net.weight.device == MPS
        net(torch.ones(1, 2, device=mps)).sum().backward()
        assert net.weight.grad.device == MPS


def test_numbers(mps):
    assert not has_float64(mps) and has_float64(torch.device("cpu")) and has_float64(torch.device("cuda"))
    assert (widest(mps), widest(torch.device("cpu"))) == (torch.float32, torch.float64)
    there = torch.tensor([0.1], device=mps)
    assert doubled(there).dtype == torch.float64 and doubled(there).device.type == "cpu"


def test_normal_numbers_are_the_bits_of_the_cpu_and_uniform_ones_lie_below_one(mps, monkeypatch):
    here, there = Rng(3, 0, 4), Rng(3, 0, 4, mps)
    assert torch.equal(here.normal(5), there.normal(5).cpu())
    assert torch.equal(here.uniform(5).float(), there.uniform(5).cpu())
    monkeypatch.setattr(Rng, "_raw", lambda self, size: np.full((4, size), 2**64 - 1, "u8"))
    assert float(there.uniform(1).cpu().max()) < 1


@pytest.mark.parametrize("kind", ["gan", "labels", "bernoulli", "pixels"])
def test_samples_are_drawn_there_and_are_those_of_the_cpu(mps, kind):
    torch.manual_seed(0)
    model, options = {
        "gan": lambda: (toys.gan(), {}),
        "labels": lambda: (
            conditional_toys.LabelGAN(conditional_toys.LabelConfig()).eval(),
            {"condition": 1},
        ),
        "bernoulli": lambda: (toys.Bernoulli(toys.ToyConfig()), {}),
        "pixels": lambda: (pixel_toys.ToyCNN(pixel_toys.ToyCNN.Config()), {}),
    }[kind]()
    expected = model.sample(3, seed=1, **options)
    drawn = model.to(mps).sample(3, seed=1, **options)
    assert drawn.device == mps
    close = (drawn.cpu() - expected).abs() < 1e-5
    assert close.float().mean() > 0.99


def test_a_bound_with_many_draws_is_summed_on_the_cpu(mps):
    weights = torch.linspace(-3, 2, 12, device=mps).view(4, 3)
    here = importance._bounds(iter([weights.cpu()]), (2, 4))
    there = importance._bounds(iter([weights]), (2, 4))
    assert all(torch.equal(here[k][i], there[k][i].cpu()) for k in (2, 4) for i in (0, 1))


@pytest.mark.parametrize("case", ["pixels", "free-bits", "autoencoder", "hinge", "paired", "pool"])
def test_a_model_of_each_family_is_trained_sampled_and_measured_there(monkeypatch, tmp_path, case):
    made = alike.started(case, World(), tmp_path)
    with fake_device(monkeypatch):
        run = Run(made.model, made.recipe, made.data, choose(made.recipe, "mps"), tmp_path)
        before = [parameter.detach().clone() for parameter in run.model.parameters()]
        run.play_round()
        run.save()
        assert not run.settings.bf16 and not run.recorder.on
        after = list(run.model.parameters())
        assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
        model = run.ema.finished(run.model, run.players, run.feed)
        assert model.device == MPS
        if isinstance(model, GenerativeModel) and model.condition is None:
            assert model.sample(2, seed=0).device == MPS
        if case == "free-bits":
            return  # its certificate is an integral, which takes minutes where every call is watched
        asked = {"metrics": ("kid",), "features": "gist"} if case == "hinge" else {}
        request = Request(n=6, draws=(), **asked)
        records = score_model(model, run.data, run.data, request, subject=case)
    assert records and all(math.isfinite(record.value) for record in records)
