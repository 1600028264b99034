"""The game of CycleGAN: its losses by hand, its pools, and runs that are resumed."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from genzoo_translate.cycle_game import CycleGame, Side
from genzoo_translate.cyclegan import CycleGANConfig
from genzoo_translate.options import Cycle
from genzoo_translate.resnet import check_sides
from torch import nn

from genzoo import Recipe
from genzoo.errors import ArgumentError, TrainingError
from genzoo.losses import lsgan
from genzoo.rng import generator
from genzoo.testing import check_game
from genzoo.training import checkpoint, players

spec = importlib.util.spec_from_file_location("cycle_toys", Path(__file__).parent / "cycle_toys.py")
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)
RECIPE, SHAPE, batch, digest = toys.RECIPE, toys.SHAPE, toys.batch, toys.digest
finish, sides, start, tiny = toys.finish, toys.sides, toys.start, toys.tiny

GREY = (1, 8, 8)


def game_of(kind=CycleGame, side=Side, model=None, **options):
    model = model or tiny()
    chosen = Cycle(**{"pool": 0, **options})
    first = side(model.first, model.generators.back, model.picture.shape, chosen.pool, True)
    second = side(model.second, model.generators.there, model.image_shape, chosen.pool, False)
    return kind(model.generators, first, second, chosen), model


def loud(model):
    """Give both discriminators outputs far from 0, where losses differ."""
    for judge in (model.first, model.second):
        nn.init.normal_(judge.net[-1].weight, std=3, generator=generator("loud"))
    return model


def noise():
    return generator("test")


def l1(a, b):
    return (a - b).abs().mean()


class UnscaledIdentity(CycleGame):
    """The identity weight not multiplied by λ."""

    def loss(self, batch, rng):
        x, y = 2 * batch.images - 1, 2 * batch.other - 1
        same = l1(self.there(y), y) + l1(self.back(x), x)
        whole = self.options.cycle * self.options.identity
        return super().loss(batch, rng) + (self.options.identity - whole) * same


class HalfFooled(CycleGame):
    """½ (D - 1)², of which λ is not 10 but 20 times."""

    def loss(self, batch, rng):
        loss = super().loss(batch, rng)
        x, y = 2 * batch.images - 1, 2 * batch.other - 1
        return loss - self.second.generator_loss(self.there(x)) - self.first.generator_loss(self.back(y))


class OneWay(CycleGame):
    """One of the two cycles is left out."""

    def loss(self, batch, rng):
        y = 2 * batch.other - 1
        return super().loss(batch, rng) - self.options.cycle * l1(self.there(self.back(y)), y)


class WrongWay(CycleGame):
    """The identity of x under G, which is what G must change."""

    def loss(self, batch, rng):
        x, y = 2 * batch.images - 1, 2 * batch.other - 1
        right = l1(self.there(y), y) + l1(self.back(x), x)
        wrong = l1(self.there(x), x) + l1(self.back(y), y)
        return super().loss(batch, rng) + self.options.cycle * self.options.identity * (wrong - right)


class Whole(Side):
    """D's loss not halved."""

    def loss(self, batch, rng):
        return 2 * super().loss(batch, rng)


class Averaged(Side):
    """D averaged over its map before the loss."""

    def _judged(self, images):
        return super()._judged(images).mean((2, 3))


class Swapped(Side):
    """Each D judges the other side."""

    def __init__(self, judge, made, shape, pool, of_first):
        super().__init__(judge, made, shape, pool, not of_first)


def check_generators(kind=CycleGame, side=Side):
    game, model = game_of(kind, side, loud(tiny()))
    given = batch()
    loss = game.loss(given, noise())
    x, y = 2 * given.images - 1, 2 * given.other - 1
    there, back = model.generators.there(x), model.generators.back(y)
    fooled = ((model.second(there) - 1) ** 2).mean() + ((model.first(back) - 1) ** 2).mean()
    cycle = l1(model.generators.back(there), x) + l1(model.generators.there(back), y)
    same = l1(model.generators.there(y), y) + l1(model.generators.back(x), x)
    assert loss.item() == pytest.approx((fooled + 10 * cycle + 5 * same).item(), rel=1e-5)


def check_discriminators(kind=CycleGame, side=Side):
    game, model = game_of(kind, side, loud(tiny()))
    given = batch()
    game.loss(given, noise())
    x, y = 2 * given.images - 1, 2 * given.other - 1
    with torch.no_grad():
        there, back = model.generators.there(x), model.generators.back(y)
    for each, judge, real, fake in (
        (game.first, model.first, x, back),
        (game.second, model.second, y, there),
    ):
        loss = each.loss(given, noise())
        assert judge(real).shape[2] > 1
        by_hand = (((judge(real) - 1) ** 2).mean() + (judge(fake) ** 2).mean()) / 2
        assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
        slopes = torch.autograd.grad(loss, list(model.generators.there.parameters()), allow_unused=True)
        assert all(slope is None for slope in slopes)


BUGS = [
    (check_generators, {"kind": UnscaledIdentity}),
    (check_generators, {"kind": HalfFooled}),
    (check_generators, {"kind": OneWay}),
    (check_generators, {"kind": WrongWay}),
    (check_generators, {"side": Averaged}),
    (check_discriminators, {"side": Whole}),
    (check_discriminators, {"side": Averaged}),
    (check_discriminators, {"side": Swapped}),
]


class TestLosses:
    def test_of_the_generators(self):
        check_generators()

    def test_of_the_discriminators(self):
        check_discriminators()

    @pytest.mark.parametrize(("check", "bug"), BUGS, ids=[next(iter(b.values())).__name__ for _, b in BUGS])
    def test_a_bug_would_be_seen(self, check, bug):
        with pytest.raises(AssertionError):
            check(**bug)

    def test_the_identity_loss_needs_equally_many_channels(self):
        model = tiny(source_shape=GREY)
        given = batch(first=GREY)
        losses = [
            game_of(model=model, identity=share)[0].loss(given, noise()).item() for share in (0.0, 0.5, 2.0)
        ]
        assert losses[0] == losses[1] == losses[2]
        same = [game_of(model=tiny(), identity=share)[0].loss(batch(), noise()).item() for share in (0, 0.5)]
        assert same[0] < same[1]

    def test_without_a_cycle_there_is_no_identity_either(self):
        game, model = game_of(cycle=0.0)
        given = batch()
        fooled = lsgan.generator(model.second(model.generators.there(2 * given.images - 1))).mean()
        fooled = fooled + lsgan.generator(model.first(model.generators.back(2 * given.other - 1))).mean()
        assert game.loss(given, noise()).item() == pytest.approx(2 * fooled.item(), rel=1e-5)


class TestPlayers:
    def test_both_generators_are_one_player_and_move_first(self):
        found = players(tiny(), RECIPE)
        assert [p.name for p in found] == ["generators", "discriminator_first", "discriminator_second"]
        assert [p.average for p in found] == [True, False, False]
        assert [p.memory is not None for p in found] == [False, True, True]

    @pytest.mark.parametrize("options", [Cycle(), Cycle(identity=0), Cycle(pool=0), Cycle(pool=1)])
    def test_it_passes_the_laws_of_games(self, options):
        check_game(tiny(), Recipe(game=options))

    def test_of_domains_with_other_channels_too(self):
        check_game(tiny(source_shape=GREY), Recipe(game=Cycle()))

    def test_the_discriminators_see_the_translations_of_the_generators_turn(self):
        game, model = game_of()
        given = batch()
        game.loss(given, noise())
        with torch.no_grad():
            before = model.generators.there(2 * given.images - 1)
            for parameter in model.generators.there.parameters():
                parameter.mul_(2)
        seen = []
        model.second.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        game.second.loss(given, noise())
        assert torch.equal(seen[1], before) and game.second.handed_on is None
        game.second.loss(given, noise())  # a second turn of D in a round
        assert not torch.equal(seen[3], before)

    def test_each_discriminator_has_a_pool_of_its_own_side(self):
        first, second = (p.memory for p in players(tiny(source_shape=GREY), RECIPE)[1:])
        assert first.images.shape == (4, *GREY) and second.images.shape == (4, *SHAPE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = start(tmp_path_factory.mktemp("whole"))
    return finish(run), digest(run)


@pytest.fixture
def stopped(tmp_path):
    """A run of five rounds: the pools of four are full, and have swapped."""
    folder = tmp_path / "run"
    finish(start(folder), 5)
    return folder


class TestRuns:
    def test_resumed_it_ends_in_the_same_bits(self, whole, stopped):
        run = start(stopped)
        run.resume()
        assert run.step == 5
        assert finish(run) == whole[0][5:]
        assert digest(run) == whole[1]

    @pytest.mark.parametrize("lost", ["discriminator_first", "discriminator_second"])
    def test_a_pool_outside_the_checkpoint_would_be_seen(self, whole, stopped, lost):
        run = start(stopped)
        run.resume()
        memory = next(p.memory for p in run.players if p.name == lost)
        memory.images.zero_()
        assert finish(run) != whole[0][5:] and digest(run) != whole[1]

    def test_optimisers_outside_the_checkpoint_would_be_seen(self, whole, stopped):
        run = start(stopped)
        run.resume()
        for optimiser in run.optimisers.values():
            optimiser.state.clear()
        finish(run)
        assert digest(run) != whole[1]

    def test_the_checkpoint_has_both_pools(self, stopped):
        tensors, facts = checkpoint.read(stopped / checkpoint.NAME)
        assert facts.step == 5
        for side in ("first", "second"):
            kept = tensors[f"memory.discriminator_{side}.images"]
            assert kept.shape == (4, *SHAPE) and all(picture.abs().max() > 0 for picture in kept)
            assert int(tensors[f"memory.discriminator_{side}.filled"]) == 4

    def test_another_pool_is_another_run(self, stopped, tmp_path):
        shutil.copytree(stopped, tmp_path / "copy")
        with pytest.raises(TrainingError, match="pool was 4, is 5"):
            start(tmp_path / "copy", RECIPE.replace(game=Cycle(pool=5))).resume()

    @pytest.mark.parametrize(("first", "second"), [(12, 9), (9, 9)])
    def test_each_side_is_in_an_order_of_its_own(self, tmp_path, first, second):
        """Sides of equal length too, which are not pairs."""
        run = start(tmp_path / "order", RECIPE.replace(flip=False), data=sides(first, second))
        batches = [run.feed(number) for number in range(18)]  # 36 rows: whole epochs of 12 and of 9
        orders = []
        for images, seen in (
            (run.data, torch.cat([given.images for given in batches])),
            (run.data.other, torch.cat([given.other for given in batches])),
        ):
            same = (seen[:, None] == images.float(range(len(images)))[None]).flatten(2).all(2)
            assert (same.sum(1) == 1).all()
            rows = same.int().argmax(1).tolist()
            epochs = [rows[at : at + len(images)] for at in range(0, len(rows), len(images))]
            assert all(sorted(epoch) == list(range(len(images))) for epoch in epochs)
            assert len(set(map(tuple, epochs))) == len(epochs)
            orders.append(epochs)
        assert orders[0] != orders[1]


class TestModel:
    def test_the_two_directions_are_two_nets(self):
        model, x = tiny(source_shape=GREY), torch.rand(2, *GREY)
        there = model.translate(x, to="zebra")
        assert there.shape == (2, *SHAPE)
        assert model.translate(there, to="horse").shape == (2, *GREY)

    def test_a_picture_of_the_smallest_multiple_is_translated(self):
        assert tiny(blocks=2).translate(torch.rand(1, 3, 8, 24)).shape == (1, 3, 8, 24)

    @pytest.mark.parametrize(
        ("sides_", "near"), [((12, 16), "16x16"), ((4, 4), "8x8"), ((1, 1), "8x8"), ((65, 63), "64x64")]
    )
    def test_other_sides_are_refused_with_the_nearest_that_fit(self, sides_, near):
        with pytest.raises(ArgumentError, match=f"not {sides_[0]}x{sides_[1]} — image_size={near}"):
            check_sides(sides_)

    def test_edges_are_mirrored_and_not_black(self):
        """In every layer that keeps the size."""
        net, seen = tiny(blocks=2).generators.there, []
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d) and layer.stride == (1, 1):
                layer.register_forward_pre_hook(lambda layer, given: seen.append((layer, given[0])))
        net(torch.rand(1, 3, 16, 16, generator=noise()))
        assert [layer.kernel_size[0] for layer, _ in seen] == [7, 3, 3, 3, 3, 7]
        for layer, x in seen:
            edge = layer.kernel_size[0] // 2
            inner = x[..., edge:-edge, edge:-edge]
            assert inner.std() > 0 and layer.padding == (0, 0)
            assert torch.equal(x, nn.functional.pad(inner, [edge] * 4, mode="reflect"))

    def test_the_weights_of_the_card_fit_into_8_megabytes_of_float16(self):
        model = tiny(**{k: getattr(CycleGANConfig(), k) for k in ("width", "blocks", "judge_width")})
        assert 2 * sum(p.numel() for p in model.parameters()) < 8e6

    def test_the_weights_of_translators_are_their_own(self):
        model = tiny()
        parts = [model.generators.there, model.generators.back, model.first, model.second]
        known = [id(p) for part in parts for p in part.parameters()]
        assert len(set(known)) == len(known) == len(list(model.parameters()))
