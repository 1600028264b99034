"""The optimisers that a recipe may name."""

from __future__ import annotations

import pytest
import torch
import toys
from torch import nn

from genzoo.errors import ArgumentError
from genzoo.recipe import Recipe
from genzoo.training.optimisers import LEAST, Muon, optimisers
from genzoo.training.players import Player

RATE = 0.01
ROOT_MEAN_SQUARE = 0.2  # of an update of Adam's, and so of Muon's, over the rate


def player(module, name="critic"):
    return Player(name=name, module=module, loss=lambda batch, noise: batch.images.sum())


def change(weight, gradient, steps=1):
    """Return what `steps` equal gradients do to a weight, over the rate."""
    weight = nn.Parameter(weight)
    before = weight.detach().clone()
    muon = Muon([weight], RATE)
    for _ in range(steps):
        weight.grad = gradient.clone(memory_format=torch.preserve_format)
        muon.step()
    return (weight.detach() - before) / RATE


class TestChoice:
    @pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("rmsprop", "RMSprop"), ("sgd", "SGD")])
    def test_each_player_has_its_own(self, name, kind):
        recipe = Recipe(optimizer={"all": "adam", "critic": name}, lr={"all": RATE})
        assert {
            key: type(one).__name__ for key, one in optimisers(player(nn.Linear(9, 9)), recipe).items()
        } == {"critic": kind}
        (other,) = optimisers(player(nn.Linear(9, 9), "generator"), recipe).values()
        assert type(other).__name__ == "Adam" and other.param_groups[0]["lr"] == RATE

    def test_muon_takes_the_matrices_and_adam_the_rest(self):
        net = nn.Sequential(
            nn.Conv2d(LEAST, LEAST, 3), nn.Linear(LEAST, LEAST - 1), nn.Linear(LEAST - 1, LEAST)
        )
        found = optimisers(player(net), Recipe(optimizer={"all": "muon"}))
        assert [p.shape for p in found["critic-matrices"].param_groups[0]["params"]] == [(LEAST, LEAST * 9)]
        assert [p.shape for p in found["critic"].param_groups[0]["params"]] == [
            p.shape for p in net.parameters()
        ][1:]
        assert found["critic"].defaults["betas"] == Recipe().betas

    def test_the_rows_of_an_embedding_are_learned_by_adam(self):
        """Most labels are absent from a batch: an orthogonal update would move their rows as well."""
        net = nn.Sequential(nn.Embedding(LEAST, LEAST), nn.Linear(LEAST, LEAST, bias=False))
        found = optimisers(player(net), Recipe(optimizer={"all": "muon"}))
        assert found["critic"].param_groups[0]["params"] == [net[0].weight]
        assert found["critic-matrices"].weights == [net[1].weight]

    @pytest.mark.parametrize(
        ("net", "names"),
        [(nn.Linear(LEAST, LEAST, bias=False), ["critic-matrices"]), (nn.BatchNorm2d(3), ["critic"])],
    )
    def test_a_net_of_one_kind_has_one(self, net, names):
        assert list(optimisers(player(net), Recipe(optimizer={"all": "muon"}))) == names

    def test_a_frozen_weight_is_left_alone(self):
        net = nn.Linear(LEAST, LEAST).requires_grad_(False)
        assert optimisers(player(net), Recipe(optimizer={"all": "muon"})) == {}

    def test_a_player_that_does_not_play_is_named(self, start):
        with pytest.raises(ArgumentError, match=r"optimizer.critic: this game has no player 'critic'"):
            start(optimizer={"critic": "sgd"})


class TestMuon:
    @pytest.mark.parametrize(
        "shape", [(8, 24), (24, 8), (12, 4, 3, 3), (12, 10, 1, 1), (16, 5, 3), (9, 1, 7, 7)]
    )
    def test_an_update_is_orthogonal_whatever_the_gradient(self, shape):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(0)) ** 3
        update = change(torch.zeros(shape), gradient).flatten(1)
        values = torch.linalg.svdvals(update) / (ROOT_MEAN_SQUARE * max(update.shape) ** 0.5)
        given = torch.linalg.svdvals(gradient.flatten(1))
        assert values.min() > 0.5 and values.max() < 1.3 and given.max() > 4 * given.min()
        assert (update * gradient.flatten(1)).sum() < 0  # downhill

    def test_its_size_is_that_of_adams(self):
        update = change(torch.zeros(32, 32), torch.randn(32, 32, generator=torch.Generator().manual_seed(1)))
        assert update.square().mean().sqrt() == pytest.approx(ROOT_MEAN_SQUARE, rel=0.15)

    @pytest.mark.parametrize("shape", [(16, 8, 3, 3), (16, 8, 1, 1), (8, 1, 3, 3)])
    def test_the_order_of_memory_does_not_matter(self, shape):
        draw = torch.Generator().manual_seed(0)
        weight, gradient = torch.randn(shape, generator=draw), torch.randn(shape, generator=draw)
        plain = change(weight, gradient, steps=3)
        for layouts in [(True, True), (True, False), (False, True)]:
            given = [
                t.to(memory_format=torch.channels_last) if last else t
                for t, last in zip((weight, gradient), layouts, strict=True)
            ]
            # sums in bf16, in another order
            assert torch.allclose(change(*given, steps=3), plain, atol=0.02 * float(plain.abs().max()))

    def test_what_is_masked_stays(self):
        """A tap without gradient gets no update: masked weights of a PixelCNN stay as they are."""
        gradient = torch.randn(12, 8, 3, 3, generator=torch.Generator().manual_seed(0))
        gradient[:, :, 1, 1:] = 0
        gradient[:, :, 2] = 0
        update = change(torch.ones(12, 8, 3, 3), gradient, steps=3)
        assert (
            update[:, :, 1, 1:].count_nonzero() == update[:, :, 2].count_nonzero() == 0
            and update[:, :, 0].all()
        )

    def test_a_weight_without_gradient_is_passed_over(self):
        weights = [nn.Parameter(torch.ones(8, 8)), nn.Parameter(torch.ones(8, 8))]
        muon = Muon(weights, RATE)
        weights[1].grad = torch.eye(8)
        muon.step()
        assert torch.equal(weights[0], torch.ones(8, 8)) and not torch.equal(weights[1], torch.ones(8, 8))

    def test_a_weight_that_cannot_be_seen_as_a_matrix_is_no_silent_copy(self):
        with pytest.raises(RuntimeError, match="view"):
            Muon([nn.Parameter(torch.ones(9, 9, 9).permute(1, 0, 2))], RATE)


class TestRuns:
    def test_both_rates_fall(self, start):
        run = start(toys.gan(width=LEAST), steps=2, lr_decay=1, optimizer={"all": "muon"}, lr={"all": 1e-3})
        assert len(run.optimisers) > 2
        for left in (1, 0.5):
            run.play_round()
            assert {group["lr"] for one in run.optimisers.values() for group in one.param_groups} == {
                left * 1e-3
            }
