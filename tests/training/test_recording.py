"""Recorded turns: what is recorded when, what a graph is given, and on a GPU that a recorded run is the run
that it replaces."""

from __future__ import annotations

import contextlib
import dataclasses
from types import SimpleNamespace

import pytest
import torch
import toys
from torch import nn
from toys import recipe_of

from genzoo import Recipe, create
from genzoo.errors import TrainingError
from genzoo.rng import mix
from genzoo.training import Batch, Player, players
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.parallel import World
from genzoo.training.publish import describe_run
from genzoo.training.recording import WARM, Recorder

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")


class Graph:
    """A graph that, played back, does again what was done while it was recorded, over the same memory, as a
    GPU would."""

    recording: Graph | None = None

    def __init__(self):
        self.noise, self.work, self.plays = None, None, 0

    def register_generator_state(self, noise):
        self.noise = noise

    def replay(self):
        self.plays += 1
        self.work()


@contextlib.contextmanager
def recording(graph, pool):
    assert pool == "pool"
    Graph.recording = graph
    yield
    Graph.recording = None


@pytest.fixture
def graphs(monkeypatch):
    """Have CPU runs record, with the graphs above; give the list of those that are made."""
    made = []

    def make():
        made.append(Graph())
        return made[-1]

    stand_in = SimpleNamespace(
        CUDAGraph=make, graph=recording, graph_pool_handle=lambda: "pool", device=contextlib.nullcontext
    )
    monkeypatch.setattr(torch, "cuda", stand_in)
    return made


@pytest.fixture
def recorder(graphs):
    """Give a recorder of one player whose loss is mean(w · images · noise), and its weight."""
    weight = nn.Parameter(torch.ones(3))
    module = nn.ParameterList([weight])
    player = Player(name="model", module=module, loss=lambda *_: weight.sum(), recordable=True)
    settings = dataclasses.replace(choose(Recipe(), "cpu"), cuda_graphs=True)

    def gradients(player, noise, batch):
        loss = torch.zeros(())

        def work():
            told = 0 if batch.labels is None else batch.labels
            weight.grad = batch.images * torch.rand(3, generator=noise) + told
            loss.fill_(weight.grad.sum())

        Graph.recording.work = work
        return loss

    return Recorder([player], settings, gradients), player, weight


class TestWhatIsRecorded:
    def test_the_games_of_the_official_gans_unless_a_turn_differs_from_the_next(self):
        for name, shape in (("gan", (1, 8, 8)), ("dcgan", (1, 8, 8)), ("wgan-gp-resnet", (1, 8, 8))):
            net = create(name, image_shape=shape)
            assert all(
                player.recordable
                for player in players(net, recipe_of(gp_weight=0, instance_noise=0.1, soft_labels=0.1))
            )
            assert not any(player.recordable for player in players(net, recipe_of(replay=0.5)))
            assert not any(player.recordable for player in players(net, recipe_of(turns={"generator": 2})))

    def test_a_stranger_s_only_if_it_says_so(self):
        assert not any(player.recordable for player in players(toys.gan(), toys.RECIPE))

    def test_only_on_a_gpu_and_only_where_all_players_allow_it(self, graphs):
        assert not choose(Recipe(), "cpu").cuda_graphs
        one, other = (
            Player(name=n, module=nn.Linear(1, 1), loss=lambda *_: None, recordable=r)
            for n, r in (("a", True), ("b", False))
        )
        chosen = dataclasses.replace(choose(Recipe(), "cpu"), cuda_graphs=True)
        for game, settings, on in (
            ([one], chosen, True),
            ([one, other], chosen, False),
            ([one], choose(Recipe(), "cpu"), False),
        ):
            assert Recorder(game, settings, lambda *_: None).on is on


class TestPlayingBack:
    def test_after_a_few_rounds_each_player_is_recorded_once(self, recorder, graphs):
        machine, player, _ = recorder
        for round_ in range(1, WARM + 4):
            machine.begin_round()
            assert machine.plays(player) == (round_ > WARM)
            if machine.plays(player):
                machine.play(player, round_, Batch(torch.ones(3)))
        assert [graph.plays for graph in graphs] == [3]

    def test_a_turn_is_played_with_its_own_images_labels_and_noise(self, recorder, graphs):
        machine, player, weight = recorder
        for seed in (5, 6, 5):
            images, labels = torch.arange(3.0) + seed, torch.tensor([1.0, 0.0, seed])
            loss = machine.play(player, seed, Batch(images, labels))
            expected = images * torch.rand(3, generator=torch.Generator().manual_seed(seed)) + labels
            assert torch.equal(weight.grad, expected) and loss == expected.sum()
            assert graphs[0].noise.initial_seed() == seed

    def test_the_gradients_are_those_that_the_graph_writes_whatever_was_put_in_their_place(self, recorder):
        machine, player, weight = recorder
        gradients = machine._gradients

        def recorded(*given):
            loss = gradients(*given)
            weight.grad = torch.zeros(3)  # as a GPU leaves it: memory that each replay writes
            place = weight.grad
            Graph.recording.work = lambda: place.add_(1)
            return loss

        machine._gradients = recorded
        for turn in (1.0, 2.0):
            machine.play(player, 0, Batch(torch.ones(3)))
            assert weight.grad.tolist() == [turn] * 3
            weight.grad = torch.full((3,), 9.0)  # the mean over several processes

    @pytest.mark.parametrize("column", ["condition", "other"])
    def test_conditions_and_second_sides_reach_the_recording(self, graphs, column):
        settings = dataclasses.replace(choose(Recipe(), "cpu"), cuda_graphs=True)
        player = Player(name="model", module=nn.Linear(1, 1), loss=lambda *_: None, recordable=True)

        def gradients(player, noise, batch):
            loss = torch.zeros(())
            Graph.recording.work = lambda: loss.fill_((batch.images * batch.get(column)).sum())
            return loss

        machine = Recorder([player], settings, gradients)
        for turn in (1.0, 2.0, 5.0):
            told = torch.tensor([turn, 0.0, 1.0])
            loss = machine.play(player, 0, Batch(torch.arange(3.0), **{column: told}))
            assert loss == (torch.arange(3.0) * told).sum() == 2.0
            told[2] = 7.0  # the recording has a copy of its own
            loss = machine.play(player, 0, Batch(torch.arange(3.0) + turn, **{column: told}))
            assert loss == ((torch.arange(3.0) + turn) * told).sum()

    def test_a_card_tells_whether_turns_were_recorded(self, start):
        run = start()
        assert "CUDA graphs" not in describe_run(run)
        run.recorder.on = True
        assert "channels_last, CUDA graphs), torch" in describe_run(run)

    def test_what_cannot_be_recorded_is_told_with_the_way_out(self, recorder):
        machine, player, _ = recorder

        def refuse(*_):
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

        machine._gradients = refuse
        with pytest.raises(
            TrainingError, match="the model cannot be recorded as a CUDA graph: operation not permitted"
        ) as caught:
            machine.play(player, 0, Batch(torch.ones(3)))
        assert "cuda_graphs=off" in str(caught.value) and "more" not in caught.value.message

    def test_the_loop_seeds_the_noise_of_a_recorded_turn_as_it_seeds_that_of_any(self, start, monkeypatch):
        run, played = start(), []
        monkeypatch.setattr(run.recorder, "plays", lambda player: True)
        monkeypatch.setattr(
            run.recorder,
            "play",
            lambda player, seed, *given: played.append((player.name, seed)) or torch.zeros(()),
        )
        for step in range(2):
            run.play_round()
            for name, seed in played[-2:]:
                assert seed == mix(run.recipe.seed, name, step, 0, 0)
        assert [name for name, _ in played] == ["discriminator", "generator"] * 2


CASES = {
    "gan": ("gan", {}, {}),
    "dcgan with all that is drawn": (
        "dcgan",
        {"width": 8, "dropout": 0.3},
        {
            "augment": ("color", "translation", "cutout"),
            "flip": True,
            "instance_noise": 0.1,
            "soft_labels": 0.2,
            "flipped_labels": 0.1,
            "classes": 10,
            "ema": 0.9,
            "lr_decay": 0.5,
        },
    ),
    "wgan-gp, five turns": (
        "wgan-gp",
        {"width": 8},
        {
            "objective": "wasserstein",
            "gp_weight": 10.0,
            "betas": (0.0, 0.9),
            "turns": {"discriminator": 5},
            "augment": ("translation",),
        },
    ),
    "wgan": (
        "wgan",
        {"width": 8},
        {
            "objective": "wasserstein",
            "weight_clip": 0.01,
            "optimizer": {"all": "rmsprop"},
            "turns": {"discriminator": 2},
        },
    ),
    "wgan-gp-resnet": (
        "wgan-gp-resnet",
        {"width": 4},
        {"objective": "wasserstein", "gp_weight": 10.0, "betas": (0.0, 0.9)},
    ),
    "muon": ("dcgan", {"width": 8}, {"optimizer": {"all": "muon"}}),
}


@GPU
@pytest.mark.parametrize("case", CASES)
def test_on_a_gpu_a_recorded_run_is_the_run_that_it_replaces(case, digits, tmp_path, monkeypatch):
    """The losses of 12 rounds, and the weights after them, with graphs and without."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    name, config, settings = CASES[case]
    ends = []
    for graphs in ("auto", "off"):
        recipe = recipe_of(
            data="digits", steps=12, batch_size=16, precision="fp32", cuda_graphs=graphs, **settings
        )
        torch.manual_seed(0)
        run = Run(
            create(name, image_shape=(1, 8, 8), **config),
            recipe,
            digits,
            choose(recipe, "cuda"),
            tmp_path,
            World(),
        )
        losses = [{player: float(loss) for player, loss in run.play_round().items()} for _ in range(12)]
        ends.append((losses, {key: value.float().cpu() for key, value in run.model.state_dict().items()}))
        assert bool(run.recorder._recorded) == (graphs == "auto")
    (losses, state), (expected_losses, expected) = ends
    for ours, theirs in zip(losses, expected_losses, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3, abs=2e-4)
    for key, value in expected.items():
        torch.testing.assert_close(
            state[key], value, rtol=1e-2, atol=1e-4, msg=lambda words, key=key: f"{key}: {words}"
        )
