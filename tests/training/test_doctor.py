"""The training doctor: really sick runs are named with the hack that answers, healthy ones are left alone."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
import toys
from torch import nn
from torch.nn.functional import mse_loss, softplus
from toys import Coder, ToyConfig, ToyGAN

from genzoo.errors import TrainingError
from genzoo.hacks import HACKS
from genzoo.training import doctor, loop
from genzoo.training.doctor import CURVE, PATIENCE, Doctor, Finding, diversity, gradient_norm
from genzoo.training.ema import EMA
from genzoo.training.loop import Run, play
from genzoo.training.players import Player, players
from genzoo.training.report import Report

CRITIC = {"objective": "wasserstein", "weight_clip": 0.05, "optimizer": {"all": "rmsprop"}}


@pytest.fixture
def hasty(monkeypatch):
    """Let the doctor look after a run of a few dozen rounds as after one of thousands."""
    monkeypatch.setattr(doctor, "EXAMINED", 2)
    monkeypatch.setattr(doctor, "GROWN_UP", 8)


class Stranger(Coder):
    """A game of three that offers the doctor nothing: an encoder, a decoder, and a critic with batch norm."""

    def __init__(self, config):
        super().__init__(config)
        self.critic = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.Linear(8, 1)
        )


@players.register
def strangers_players(model: Stranger, recipe):
    def rebuilt(images):
        return model._decode(model._encode(images))

    def judged(batch, noise):
        images = batch.images
        return (softplus(-model.critic(images)) + softplus(model.critic(rebuilt(images).detach()))).mean()

    return [
        Player(
            name="encoder",
            module=model.down,
            loss=lambda batch, noise: mse_loss(rebuilt(batch.images), batch.images),
        ),
        Player(
            name="decoder",
            module=model.up,
            loss=lambda batch, noise: softplus(-model.critic(rebuilt(batch.images))).mean(),
            average=True,
        ),
        Player(name="critic", module=model.critic, loss=judged),
    ]


def findings(run):
    found = []
    play(run, lambda losses: None, lambda: None, lambda: False, found.append)
    return found


class TestLosses:
    @pytest.fixture
    def game(self):
        return players(toys.gan(), toys.RECIPE)

    def doctor(self, game, path, stop=True):
        return Doctor(game, EMA(game, 0.0), path / "checkpoint", stop)

    def looks(self, looking, loss, count):
        return [
            found
            for step in range(count)
            for found in looking.look(step, {"discriminator": loss, "generator": 9.0})
        ]

    @pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("stop", [True, False])
    def test_a_loss_that_is_not_finite(self, game, tmp_path, loss, stop):
        with pytest.raises(TrainingError, match="step 17: the loss of the generator is") as caught:
            self.doctor(game, tmp_path, stop).look(17, {"discriminator": 1.0, "generator": loss})
        assert "no checkpoint was written" in caught.value.message
        assert "lr.generator" in caught.value.hint
        (tmp_path / "checkpoint").write_bytes(b"x")
        with pytest.raises(TrainingError, match=f"the last good checkpoint is {tmp_path / 'checkpoint'}"):
            self.doctor(game, tmp_path, stop).look(17, {"generator": loss})

    def test_a_discriminator_that_has_won(self, game, tmp_path):
        looking = self.doctor(game, tmp_path)
        self.looks(looking, 0.001, PATIENCE - 1)
        with pytest.raises(
            TrainingError,
            match=(
                r"step 999: the discriminator has collapsed the game: its mean loss over 200 rounds is "
                r"0.0010"
            ),
        ) as caught:
            looking.look(999, {"discriminator": 0.001, "generator": 9.0})
        assert "lr.discriminator" in caught.value.hint and "watch=false" in caught.value.hint
        assert "hack 13, instance-noise (--set instance_noise=0.1)" in caught.value.hint

    def test_one_that_is_looked_at_every_tenth_round_is_stopped_as_early(self, game, tmp_path):
        looking = Doctor(game, EMA(game, 0.0), tmp_path / "checkpoint", True, look_every=10)
        for step in range(10, PATIENCE, 10):
            assert looking.look(step, {"discriminator": 0.001}) == []
        with pytest.raises(TrainingError, match=r"step 200: .* its mean loss over 200 rounds is 0.0010"):
            looking.look(PATIENCE, {"discriminator": 0.001})

    def test_on_a_gpu_every_tenth_round_is_looked_at(self, start, monkeypatch):
        seen = []
        monkeypatch.setattr(Doctor, "look", lambda self, step, losses: seen.append(step) or [])
        run = start(steps=25)
        monkeypatch.setattr(toys.ToyGAN, "to", lambda self, **how: self)
        monkeypatch.setattr(loop, "Loader", lambda *how: None)
        settings = dataclasses.replace(run.settings, device=torch.device("cuda"))
        run.doctor = Run(run.model, run.recipe, run.data, settings, run.folder).doctor
        findings(run)
        assert run.doctor.look_every == 10 and seen == [10, 20, 25]

    def test_a_short_run_of_luck_is_no_collapse(self, game, tmp_path):
        looking = self.doctor(game, tmp_path)
        for _ in range(4):
            self.looks(looking, 0.0, PATIENCE - 1)
            self.looks(looking, 5.0, 1)

    def test_watch_false_goes_on_and_is_told_once(self, game, tmp_path):
        (found,) = self.looks(self.doctor(game, tmp_path, False), 0.0, 3 * PATIENCE)
        assert (
            found.kind == "a loss at 0"
            and "the discriminator has won" in found.words
            and "instance-noise" in found.remedy
        )

    def test_a_player_without_a_floor_may_win(self, tmp_path, game):
        looking = self.doctor(game[1:], tmp_path)
        for step in range(2 * PATIENCE):
            assert looking.look(step, {"generator": 0.0}) == []


class Collapsed(ToyGAN):
    """Its generator does not listen to z."""

    def _decode(self, z):
        return super()._decode(0 * z)


class TwoModes(ToyGAN):
    """Every image is one of two, as different as images can be: the variance of the pixels is large."""

    def _decode(self, z):
        return 0.001 * super()._decode(z) + 0.99 * (z[:, :1, None, None] > 0)


class Frozen(ToyGAN):
    """Its generator never learns batch statistics, for somebody left it in evaluation mode."""

    def _decode(self, z):
        self.generator.eval()
        return super()._decode(z)


class Dead(ToyGAN):
    """The first layer of its generator gives nothing but zeros."""

    def __init__(self, config):
        super().__init__(config)
        nn.init.zeros_(self.generator[0].weight).requires_grad_(False)
        self.generator[1].running_var.zero_()  # as after some training


@pytest.mark.usefixtures("hasty")
class TestSick:
    def only(self, run, kind):
        (found,) = [finding for finding in findings(run) if finding.kind == kind]
        assert str(found).isprintable() and str(found).startswith(f"step {found.step:,}: {kind}: ")
        return found

    def test_exploding_gradients(self, start):
        """Least squares under plain gradient steps that are too long: each answer overshoots the one
        before."""
        model = toys.gan(norm=False)
        with torch.no_grad():
            model.discriminator[4].weight.mul_(300)
        run = start(model=model, steps=12, objective="lsgan", lr={"all": 1e-9}, optimizer={"all": "sgd"})
        found = self.only(run, "exploding gradients")
        assert "the gradient of the discriminator has norm" in found.words and "hack 9, adam" in found.remedy

    @pytest.mark.parametrize("model", [Collapsed, TwoModes])
    def test_mode_collapse(self, start, model):
        found = self.only(start(model=model(ToyConfig()), steps=16), "mode collapse")
        assert "images of the generator are" in found.words
        assert (
            "hack 15, minibatch-discrimination (--set minibatch=16)" in found.remedy
            and "replay" in found.remedy
        )

    @pytest.mark.parametrize(
        ("model", "words"),
        [(Frozen, "has not been updated by training"), (Dead, "sees no variance in 100% of its channels")],
    )
    def test_dead_batch_statistics(self, start, model, words):
        found = self.only(start(model=model(ToyConfig()), steps=16), "dead batch statistics")
        assert (
            found.words == f"generator.1 {words}"
            and "hack 4, instance-norm (--set norm=instance)" in found.remedy
        )

    def test_statistics_that_are_not_finite(self, start):
        run = start(steps=10)
        run.model.generator[1].running_var.fill_(float("inf"))
        assert (
            self.only(run, "dead batch statistics").words
            == "generator.1 has batch statistics that are not finite"
        )

    @pytest.mark.parametrize("fault", ["not followed", "not finite"])
    def test_dead_averages(self, start, monkeypatch, fault):
        run = start(steps=8, ema=0.9)
        if fault == "not followed":
            monkeypatch.setattr(run.ema, "update", lambda players: None)
        else:
            run.play_round()
            next(run.ema.modules["generator"].module.parameters()).data.fill_(float("nan"))
        assert "the averaged weights of the generator do not follow" in self.only(run, "dead averages").words

    def test_a_critics_curve_that_does_not_fall(self, start, monkeypatch):
        """A generator that cannot move: the critic finds an ever larger distance."""
        monkeypatch.setattr(doctor, "PATIENCE", 4)
        run = start(steps=4 * (CURVE + 1), lr={"discriminator": 1e-3, "generator": 0.0}, **CRITIC)
        found = self.only(run, "a critic's curve that does not fall")
        assert "minus the loss of the discriminator is" in found.words and "after 40 rounds" in found.words
        assert "hack 14, more-turns (--set turns.discriminator=5)" in found.remedy

    def test_each_kind_is_told_once_and_a_resumed_run_remembers(self, start, tmp_path):
        run = start(model=Collapsed(ToyConfig()), steps=16)
        assert [found.kind for found in findings(run)].count("mode collapse") == 1
        again = start(model=Collapsed(ToyConfig()), steps=32)
        again.resume()
        assert "mode collapse" not in [found.kind for found in findings(again)]

    def test_it_is_told_on_stderr_and_in_the_log(self, start, capsys):
        run = start(model=Collapsed(ToyConfig()), steps=16)
        with Report(run) as report:
            play(run, report.round, report.checkpoint, lambda: False, report.finding)
        (line,) = [line for line in capsys.readouterr().err.splitlines() if ": mode collapse: " in line]
        assert line.startswith("step ") and "minibatch-discrimination" in line
        told = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
        (found,) = [entry for entry in told if "doctor" in entry]
        assert (
            found["doctor"] == "mode collapse"
            and found["words"] in line
            and f"step {found['step']:,}:" in line
        )


@pytest.mark.usefixtures("hasty")
class TestHealthy:
    @pytest.mark.parametrize(
        ("steps", "recipe"),
        [(60, {"ema": 0.9, "turns": {"discriminator": 2}}), (20, {"objective": "lsgan"}), (20, CRITIC)],
    )
    def test_nothing_is_found(self, start, steps, recipe):
        run = start(model=toys.gan(width=8), steps=steps, **recipe)
        assert findings(run) == []

    def test_a_likelihood_may_be_steep(self, tmp_path):
        """`vae-faces` has gradients of 4,000 nats in a healthy run, and was told that training usually fails
        there."""
        net = nn.Linear(1, 1)
        one, other = (Player(name=name, module=net, loss=lambda batch, noise: batch.images) for name in "ab")
        for game, kinds in (([one], set()), ([one, other], {"exploding gradients"})):
            looking = Doctor(game, EMA(game, 0.0), tmp_path, True)
            net.weight.grad = torch.full_like(net.weight, 4000.0)
            found = [finding for step in range(1, 301) for finding in looking.look(step, {"a": 9000.0})]
            assert {finding.kind for finding in found} & {"exploding gradients"} == kinds
            assert looking.figures["gradient/a"] == pytest.approx(4000.0)

    def test_a_critics_curve_that_falls_and_then_stays(self, tmp_path, monkeypatch):
        monkeypatch.setattr(doctor, "PATIENCE", 10)
        critic = Player(
            name="critic", module=nn.Linear(1, 1), loss=lambda batch, noise: batch.images, distance=True
        )
        looking = Doctor([critic], EMA([critic], 0.0), tmp_path, True)
        for step in range(1, 400):
            # rises while the critic learns, falls, and stays
            distance = min(step / 20, 1.0) * (0.3 + 0.7 * 0.98**step)
            assert looking.look(step, {"critic": -distance}) == []
        assert len(looking.state()["curves"]["critic"]) == 39

    def test_the_curve_goes_on_after_a_resumption(self, tmp_path):
        critic = Player(
            name="critic", module=nn.Linear(1, 1), loss=lambda batch, noise: batch.images, distance=True
        )
        first, second = (Doctor([critic], EMA([critic], 0.0), tmp_path, True) for _ in range(2))
        for step in range(1, PATIENCE + 1):
            first.look(step, {"critic": -1.0})
        second.restore(**first.state())
        assert second.state() == first.state()
        assert second.state()["told"] == () and second.state()["curves"] == {"critic": (-1.0,)}

    @pytest.mark.parametrize("every", [1, 10])
    @pytest.mark.parametrize("stopped", [170, 390, 400, 410, 750])
    def test_a_point_is_the_mean_of_its_own_rounds_resumed_or_not(self, tmp_path, every, stopped):
        critic = Player(
            name="critic", module=nn.Linear(1, 1), loss=lambda batch, noise: batch.images, distance=True
        )
        first, second = (Doctor([critic], EMA([critic], 0.0), tmp_path, True, every) for _ in range(2))
        for looking, steps in ((first, range(1, stopped + 1)), (second, range(stopped + 1, 1001))):
            if looking is second:
                second.restore(**first.state())
            for step in steps:
                if step % every == 0:
                    looking.look(step, {"critic": float(step)})
        middle = (PATIENCE + every) / 2
        points = tuple(first + middle for first in range(0, 1000, PATIENCE))
        assert second.state()["curves"] == {"critic": points}
        assert len(second.state()["recent"]["critic"]) == PATIENCE // every

    def test_a_strangers_game_is_looked_after_untouched(self, start):
        """Its losses, gradients, averages and statistics are looked at all the same."""
        run = start(model=Stranger(ToyConfig()), steps=12, ema=0.5)
        assert findings(run) == []
        run = start(model=Stranger(ToyConfig()), folder=run.folder / "b", steps=12, ema=0.5)
        run.ema.update = lambda players: None
        assert [found.kind for found in findings(run)] == ["dead averages"]

    def test_it_touches_nothing(self, start):
        """Looked at or not, a run ends in the same bits."""
        ends = []
        for folder in ("a", "b"):
            run = start(folder=start().folder / folder, steps=10, ema=0.9)
            if folder == "b":
                run.doctor.look = lambda step, losses: []
            findings(run)
            ends.append(run.model.state_dict())
        assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


class TestMeasures:
    def test_gradient_norm(self):
        net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        assert gradient_norm(net) == 0.0
        for parameter, value in zip(net.parameters(), (3.0, 0.0, -4.0, 12.0), strict=True):
            parameter.grad = torch.full_like(parameter, value)
        assert gradient_norm(net) == pytest.approx(13.0)

    def test_diversity(self):
        images = torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        assert diversity(images[:1].expand(32, -1, -1, -1)) == pytest.approx(0, abs=1e-2)
        assert diversity(images[:2].repeat(16, 1, 1, 1)) == pytest.approx(0, abs=1e-2)  # two modes
        assert diversity(images) > 4 and diversity(images / 2) == pytest.approx(
            diversity(images) / 2, rel=1e-3
        )
        assert diversity(images[:1]) == 0.0

    def test_every_answer_is_a_hack(self):
        names = {f"hack {hack.number}, {hack.name}" for hack in HACKS}
        for name in (
            "hack 9, adam",
            "hack 15, minibatch-discrimination",
            "hack 8, replay",
            "hack 4, instance-norm",
            "hack 14, more-turns",
        ):
            assert name in names
        assert str(Finding(step=1400, kind="a", words="b", remedy="c")) == "step 1,400: a: b; try c"
