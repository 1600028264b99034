"""Turns whose batch is computed in parts: the gradients of the whole batch, in the memory of one part."""

from __future__ import annotations

import copy

import pytest
import torch
import toys

import genzoo
from genzoo.errors import ArgumentError, TrainingError
from genzoo.training import loop
from genzoo.training.batch import Batch
from genzoo.training.hardware import choose
from genzoo.training.parallel import World
from genzoo.training.parts import parts_of

SHAPE = (1, 8, 8)
NETS = {
    "likelihood": lambda: toys.Bernoulli(toys.ToyConfig(image_shape=SHAPE)),
    "autoencoder": lambda: genzoo.create("autoencoder", image_shape=SHAPE),
    "vae, whose codes are drawn": lambda: genzoo.create("vae", image_shape=SHAPE, width=16),
    "gan, with dropout and what is drawn": lambda: toys.gan(norm=False, dropout=0.3),
}
MORE = {"gan": {"instance_noise": 0.1, "augment": ("color", "translation"), "soft_labels": 0.2}}


@pytest.mark.parametrize("net", NETS)
def test_four_parts_are_the_whole_batch(net, start, tmp_path):
    """Weights after three rounds; plain descent, since Adam blows up a gradient of nearly 0."""
    ends, model = [], NETS[net]()
    for parts in (1, 4):
        recipe = {
            "optimizer": {"all": "sgd"},
            "lr": {"all": 1e-3},
            "accumulate": parts,
            **MORE.get(net[:3], {}),
        }
        run = start(copy.deepcopy(model), tmp_path / f"{net}-{parts}", **recipe)
        losses = torch.stack([sum(run.play_round().values()) for _ in range(3)])
        ends.append(torch.cat([losses, *(p.detach().flatten() for p in run.model.parameters())]))
    assert (ends[0] - ends[1]).norm() <= 1e-6 * ends[0].norm()


def saved(run):
    """Return the most bytes that a loss kept for its gradients."""
    sizes, loss_of = [], run._gradients

    def gradients(*given, **options):
        kept = [0]
        weights = {p.data_ptr() for p in run.model.parameters()}

        def pack(x):
            kept[0] += 0 if x.data_ptr() in weights else x.numel() * x.element_size()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            found = loss_of(*given, **options)
        sizes.append(kept[0])
        return found

    run._gradients = gradients
    run.play_round()
    return max(sizes)


def test_four_parts_keep_less_than_a_third(start, tmp_path):
    whole, part = (
        saved(start(toys.gan(norm=False), tmp_path / str(n), accumulate=n, batch_size=32)) for n in (1, 4)
    )
    assert 0 < 3 * part <= whole


def test_g_learns_from_the_fakes_that_d_saw_part_by_part(start):
    run, made = start(toys.gan(norm=False, dropout=0.0), accumulate=2), []
    decode = run.model._decode
    run.model._decode = lambda z: made.append(decode(z)) or made[-1]
    run.play_round()
    assert [fake.requires_grad for fake in made] == [False, False, True, True]
    assert all(torch.allclose(made[i], made[i + 2]) for i in (0, 1))
    assert not torch.allclose(made[0], made[1])


def test_gradients_are_divided_before_they_are_clipped(start):
    run = start(toys.gan(norm=False, dropout=0.0), accumulate=4, max_grad_norm=1e-3)
    norms, clip = [], loop.clip
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(
            loop, "clip", lambda weights, most: norms.append(weights[0].grad.norm()) or clip(weights, most)
        )
        patch.setattr(torch, "_foreach_div_", lambda gradients, parts: [g.zero_() for g in gradients])
        run.play_round()
    assert norms and not any(norms)


def test_rows_stay_together_and_in_order():
    batch = Batch(torch.arange(12.0).view(6, 1, 1, 2), labels=torch.arange(6))
    parts = parts_of(batch, 3)
    assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
    assert [part.labels.tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]


class TestRefused:
    @pytest.mark.parametrize(
        ("net", "told"),
        [({}, "running_mean|num_batches_tracked"), ({"norm": False, "spectral": True}, r"\.u")],
    )
    def test_nets_that_keep_what_a_part_changes(self, start, net, told):
        with pytest.raises(TrainingError, match=rf"accumulate=2 is not the whole batch .*({told})") as caught:
            start(toys.gan(**net), accumulate=2).play_round()
        assert "accumulate=1" in caught.value.hint

    def test_games_that_keep_or_hand_on_whole_batches(self, start):
        with pytest.raises(ArgumentError, match="the discriminator keeps a memory of whole batches"):
            start(toys.gan(norm=False), accumulate=2, replay=0.5)
        run = start(toys.gan(norm=False))
        object.__setattr__(run.players[1], "in_parts", False)
        with pytest.raises(ArgumentError, match="the generator uses what the player before has made"):
            loop.check_parts(run.recipe.replace(accumulate=2), run.players)

    def test_batch_norm_without_running_statistics(self, start):
        """It normalises each part by itself, and changes no buffer that could be noticed."""
        model = toys.gan(norm=False)
        model.discriminator[1] = torch.nn.BatchNorm2d(4, track_running_stats=False)
        with pytest.raises(
            ArgumentError, match=r"accumulate=2 .* the discriminator has batch norm \(1\)"
        ) as caught:
            start(model, accumulate=2)
        assert "accumulate=1" in caught.value.hint
        start(model).play_round()

    def test_batches_that_do_not_divide(self, start):
        with pytest.raises(
            ArgumentError, match="batch_size=16 cannot be divided into 6 equal parts, accumulate=3"
        ):
            start(toys.gan(norm=False), accumulate=3, world=World(0, 2))
        with pytest.raises(ArgumentError, match="batch_size=16 cannot be divided among 3 processes"):
            start(toys.gan(norm=False), world=World(0, 3))

    def test_turns_in_parts_are_not_recorded(self, monkeypatch):
        monkeypatch.setattr("genzoo.training.hardware.find_device", lambda device: torch.device("cuda"))
        monkeypatch.setattr("genzoo.training.hardware.fast_bf16", lambda device: False)
        assert [choose(genzoo.Recipe(accumulate=n), None).cuda_graphs for n in (1, 2)] == [True, False]
