"""What a game does between rounds: curves that it reports, a memory that processes share, findings of its
own."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss
from toys import Coder, ToyConfig

from genzoo.errors import ArgumentError, CollapseError, TrainingError
from genzoo.training import Ailment, doctor, report
from genzoo.training.doctor import PATIENCE, Doctor
from genzoo.training.ema import EMA
from genzoo.training.loop import play
from genzoo.training.parallel import World
from genzoo.training.players import Player, players
from genzoo.training.report import Report


class Pace(nn.Module):
    """A weight of the loss that follows the loss of the round before."""

    def __init__(self):
        super().__init__()
        self.register_buffer("loss", torch.zeros(()))
        self.register_buffer("weight", torch.ones(()))


class Paced(Coder):
    """An autoencoder whose loss has a weight that moves from round to round."""


@players.register
def paced_players(model: Paced, recipe):
    pace = Pace()

    def loss(batch, noise):
        error = mse_loss(model._decode(model._encode(batch.images)), batch.images)
        pace.loss.copy_(error.detach())
        return pace.weight * error

    def after_round(step):
        pace.weight.add_(pace.loss)
        return {"weight": pace.weight.clone(), "round": torch.tensor(float(step))}

    def examine(curves):
        if len(curves.get("weight", ())) >= 3:
            yield Ailment(
                "a heavy weight", f"{len(curves['weight'])} means, {sorted(curves)}", "a lighter one"
            )

    return [
        Player(
            name="coder",
            module=model,
            loss=loss,
            memory=pace,
            shared=True,
            after_round=after_round,
            examine=examine,
        )
    ]


def paced(start, **recipe):
    torch.manual_seed(0)
    return start(model=Paced(ToyConfig()), **recipe)


class TestCurves:
    def test_they_are_told_with_the_losses_after_each_round(self, start):
        run = paced(start, steps=3)
        told = [run.play_round() for _ in range(3)]
        assert all(line.keys() == {"coder", "weight", "round"} for line in told)
        assert [float(line["round"]) for line in told] == [0, 1, 2] and run.step == 3
        assert not any(value.requires_grad for line in told for value in line.values())
        weights = [1.0, *(float(line["weight"]) for line in told)]
        errors = [float(line["coder"]) / weight for line, weight in zip(told, weights[:-1], strict=True)]
        for before, error, after in zip(weights[:-1], errors, weights[1:], strict=True):
            assert after == pytest.approx(before + error, rel=1e-5)

    def test_a_game_without_curves_has_losses_alone(self, start):
        assert start(steps=1).play_round().keys() == {"discriminator", "generator"}

    def test_they_are_in_progress_and_log(self, start, capsys, monkeypatch):
        monkeypatch.setattr(report, "_LINE_SECONDS", 0.0)
        run = paced(start, steps=2)
        with Report(run) as reporting:
            play(run, reporting.round, reporting.checkpoint, lambda: False)
        lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
        assert [line["round"] for line in lines] == [0.0, 1.0]
        assert f"weight {lines[1]['weight']:.3f}, round 1.000" in capsys.readouterr().err


class TestMemory:
    def test_a_resumed_run_ends_in_the_same_bits(self, start, tmp_path):
        whole, half = paced(start, steps=4), paced(start, folder=tmp_path / "half", steps=4)
        expected = [float(whole.play_round()["coder"]) for _ in range(4)]
        for _ in range(2):
            half.play_round()
        half.save()
        again = paced(start, folder=tmp_path / "half", steps=4)
        again.resume()
        assert [float(again.play_round()["coder"]) for _ in range(2)] == expected[2:]

    def test_a_shared_one_is_averaged_over_the_processes_before_the_round_ends(self, start, monkeypatch):
        """The other process has a loss that is larger by 2."""

        def average(self, *modules, votes):
            for module in modules:
                if isinstance(module, Pace):
                    module.loss.add_(1)

        monkeypatch.setattr(World, "average_buffers", average)
        monkeypatch.setattr(World, "average_gradients", lambda self, parameters: None)
        run = paced(start, world=World(0, 2), batch_size=8)
        told = run.play_round()
        assert float(told["weight"]) == pytest.approx(2 + float(told["coder"]))

    def test_one_that_is_not_shared_is_for_one_process(self, start):
        run = paced(start)
        object.__setattr__(run.players[0], "shared", False)
        from genzoo.training.checks import check_fit

        check_fit(run.model, run.recipe, run.data, World(), run.players)
        with pytest.raises(ArgumentError, match="the coder keeps a memory that cannot be saved for 2 proc"):
            check_fit(run.model, run.recipe, run.data, World(0, 2), run.players)
        object.__setattr__(run.players[0], "common", True)
        check_fit(run.model, run.recipe, run.data, World(0, 2), run.players)

    def test_it_is_not_averaged_if_it_is_not_shared(self, start, monkeypatch):
        seen = []
        monkeypatch.setattr(
            World, "average_buffers", lambda self, *modules, votes: seen.extend(map(type, modules))
        )
        for shared, kinds in ((True, [Paced, Pace]), (False, [Paced])):
            run = paced(start)
            object.__setattr__(run.players[0], "shared", shared)
            seen.clear()
            run.play_round()
            assert seen == kinds

    def test_shared_without_a_memory_is_a_mistake(self):
        with pytest.raises(TrainingError, match="'coder' shares a memory, but it has none"):
            Player(name="coder", module=nn.Linear(1, 1), loss=lambda batch, noise: batch.images, shared=True)


class TestDoctor:
    @pytest.fixture
    def hasty(self, monkeypatch):
        monkeypatch.setattr(doctor, "PATIENCE", 4)
        monkeypatch.setattr(doctor, "EXAMINED", 2)

    def findings(self, run):
        found = []
        play(run, lambda losses: None, lambda: None, lambda: False, found.append)
        return found

    @pytest.mark.usefixtures("hasty")
    def test_a_games_own_findings_are_told_once(self, start):
        (found,) = self.findings(paced(start, steps=20))
        assert (found.step, found.kind, found.remedy) == (12, "a heavy weight", "a lighter one")
        assert found.words == "3 means, ['round', 'weight']"

    @pytest.mark.usefixtures("hasty")
    def test_the_curves_are_those_of_the_uninterrupted_run(self, start, tmp_path):
        whole = paced(start, folder=tmp_path / "whole", steps=12)
        self.findings(whole)
        half = paced(start, steps=7)  # between two points
        self.findings(half)
        again = paced(start, steps=12)
        again.resume()
        self.findings(again)
        assert len(whole.doctor.state()["curves"]["round"]) == 3
        assert again.doctor.state() == whole.doctor.state()

    @pytest.mark.usefixtures("hasty")
    def test_a_resumed_run_has_the_curves_and_knows_what_was_told(self, start, tmp_path):
        half = paced(start, steps=8)
        assert self.findings(half) == []
        again = paced(start, steps=12)
        again.resume()
        assert again.doctor.state() == half.doctor.state()
        (found,) = self.findings(again)
        assert found.step == 12
        more = paced(start, steps=16)
        more.resume()
        assert self.findings(more) == []

    def looking(self, tmp_path):
        player = Player(name="coder", module=nn.Linear(1, 1), loss=lambda batch, noise: batch.images)
        return Doctor([player], EMA([player], 0.0), tmp_path, True)

    def test_a_curve_is_the_means_over_stretches_of_the_run(self, tmp_path):
        looking = self.looking(tmp_path)
        for step in range(1, 2 * PATIENCE + 1):
            looking.look(step, {"coder": 1.0, "M": 3.0 if step > PATIENCE else float(step % 2)})
        assert looking.state()["curves"] == {"M": (0.5, 3.0)}

    def test_losses_without_a_distance_are_no_curves(self, tmp_path):
        looking = self.looking(tmp_path)
        looking.restore((), {"coder": (1.0,), "M": (2.0,)}, {})
        assert looking.state()["curves"] == {"M": (2.0,)}

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_curve_that_is_not_finite_ends_the_run(self, tmp_path, value):
        with pytest.raises(CollapseError, match=f"step 7: M is {value}; no checkpoint") as caught:
            self.looking(tmp_path).look(7, {"coder": 1.0, "M": value})
        assert "a lower lr," in caught.value.hint
