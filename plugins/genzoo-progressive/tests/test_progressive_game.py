"""The game: growth by the round alone, what each loss is made of, optimisers that start again, runs that are
resumed in the middle of a fade or between two stages, and published bugs of all these that must be seen."""

from __future__ import annotations

import dataclasses
import math
from functools import partial

import pytest
import torch
from genzoo_progressive import genzoo_cards
from genzoo_progressive.game import ProgressiveGame
from genzoo_progressive.options import Progressive
from genzoo_progressive.progressive import ProgressiveConfig, ProgressiveGAN, progressive_players
from torch.nn.functional import avg_pool2d

from genzoo import Recipe
from genzoo.data import open_data
from genzoo.errors import ArgumentError, TrainingError, UnknownNameError
from genzoo.losses.objectives import OBJECTIVES
from genzoo.rng import generator
from genzoo.training import Batch, players
from genzoo.training.hardware import choose
from genzoo.training.loop import Run, play
from genzoo.training.plan import plan
from genzoo.training.players import Player

CARDS = {card.name: card for card in genzoo_cards()}
RECIPE = Recipe(
    data="digits",
    steps=14,
    batch_size=6,
    lr={"all": 1e-3},
    betas=(0.0, 0.99),
    ema=0.9,
    precision="fp32",
    game=Progressive(stage_rounds=(4,)),
)


def small(kind=ProgressiveGAN):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(ProgressiveConfig(image_shape=(1, 16, 16), width=4, widest=8, latent_size=8)).train()


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", image_shape=(1, 16, 16), val_split=0)


@pytest.fixture
def start(tmp_path, digits):
    """Give a function that starts (or prepares to resume) a run on the embedded digits."""

    def start(folder="run", kind=ProgressiveGAN, **recipe):
        chosen = RECIPE.replace(**recipe)
        (tmp_path / folder).mkdir(exist_ok=True)
        return Run(small(kind), chosen, digits, choose(chosen, "cpu"), tmp_path / folder)

    return start


def quietly(run, until=None):
    play(run, lambda losses: None, lambda: None, lambda: until is not None and run.step >= until)


@pytest.fixture
def batch(digits):
    return Batch(digits.float(range(6)))


def losses_of(model, batch, growth, recipe=RECIPE):
    """Return both players' losses at `growth`, with the noise of the test."""
    found = {}
    for player in players(model, recipe):
        model.growth.fill_(growth)
        found[player.name] = player.loss(batch, generator("test", player.name))
    return found


def planted(game=ProgressiveGame, base=ProgressiveGAN, restarts=lambda name, own: own):
    """Return a class of model, like `base`, that is trained by `game`, with what `restarts` makes of the name
    of a player and the function that says when its optimiser starts again.
    """

    class Planted(base):
        pass

    @players.register(Planted, options=Progressive)
    def play(model, recipe):
        played = game(model, recipe.options(Progressive))
        return [
            dataclasses.replace(
                player,
                loss=getattr(played, f"{player.name}_loss"),
                before_turn=played.begin,
                restarts_at=restarts(player.name, player.restarts_at),
                shown=player.shown and (lambda: played.shown),
            )
            for player in progressive_players(model, recipe)
        ]

    return Planted


class Stuck(ProgressiveGame):
    """α stays at 0 until the next stage starts: what was to be faded in comes at once."""

    def begin(self, step):
        self.model.growth.fill_(max(0, math.ceil(self.options.growth(step, self.model.last)) - 1))


class Reversed(ProgressiveGame):
    """1 - α for α: a stage is faded out, and then comes at once."""

    def begin(self, step):
        growth = self.options.growth(step, self.model.last)
        self.model.growth.fill_(growth if growth % 1 == 0 else math.floor(growth) + 1 - growth % 1)


class Late(ProgressiveGame):
    """The growth of the round before."""

    def begin(self, step):
        super().begin(max(0, step - 1))


class Hurried(ProgressiveGame):
    """α moves with every turn, twice a round, instead of every round."""

    turn = -1

    def begin(self, step):
        self.turn += 1
        super().begin(self.turn)


class Counting(ProgressiveGame):
    """α moves with the rounds of this process, which no checkpoint has."""

    first = None

    def begin(self, step):
        self.first = step if self.first is None else self.first
        super().begin(step - self.first)


class Overwritten(ProgressiveGame):
    """ε of the penalty is written where α of the fade is, and stays there."""

    def __init__(self, model, options):
        super().__init__(model, options)
        penalty = self._penalty_of

        def overwriting(numbers, real, made, share):
            model.growth.copy_(model.growth.ceil() - 1 + share[0])
            return penalty(numbers, real, made, share)

        self._penalty_of = overwriting


class Borrowed(Overwritten):
    """α is put right after the penalty, which D has computed at ε."""

    def discriminator_loss(self, batch, rng):
        growth = self.model.growth.clone()
        loss = super().discriminator_loss(batch, rng)
        self.model.growth.copy_(growth)
        return loss


class FadedShare(ProgressiveGame):
    """α of the fade for ε of the penalty."""

    def __init__(self, model, options):
        super().__init__(model, options)
        penalty = self._penalty_of
        self._penalty_of = lambda numbers, real, made, share: penalty(
            numbers, real, made, torch.full_like(share, float(model.growth) % 1)
        )


class Together(ProgressiveGame):
    """D sees real images and fakes as one batch, with both in a group."""

    def discriminator_loss(self, batch, rng):
        self.shown = self.model.seen(batch.images), self._fakes(len(batch), rng).detach()
        on_real, on_fake = self._numbers(2 * torch.cat(self.shown) - 1).chunk(2)
        return self.objective.discriminator_loss(on_real, on_fake)


class Drifting(ProgressiveGame):
    """The drift term of fakes."""

    def discriminator_loss(self, batch, rng):
        loss = super().discriminator_loss(batch, rng)
        on_real, on_fake = (self._numbers(2 * images - 1).square().mean() for images in self.shown)
        return loss + self.options.drift * (on_fake - on_real)


class Sharp(ProgressiveGAN):
    """Real images are not faded."""

    def seen(self, x):
        growth = self.growth.clone()
        self.growth.ceil_()
        images = super().seen(x)
        self.growth.copy_(growth)
        return images


class OfTheNet(ProgressiveGAN):
    """A growth that is G's, and averaged with its weights."""

    def __init__(self, config):
        super().__init__(config)
        self.generator.register_buffer("growth", self._buffers.pop("growth"))

    @property
    def growth(self):
        return self.generator.growth


def check_growth(start, kind=ProgressiveGAN):
    """The growth of each round is set before its turns."""
    run, seen = start(kind=kind), []
    for player in run.players:
        loss = player.loss
        object.__setattr__(
            player, "loss", lambda *args, loss=loss: (seen.append(float(run.model.growth)), loss(*args))[1]
        )
    quietly(run)
    expected = [run.recipe.game.growth(step, 2) for step in range(14)]
    assert seen[::2] == seen[1::2] == pytest.approx(expected) and len(seen) == 28
    assert max(seen) == 2 and len(set(seen)) == 7  # α moves, and reaches 1


def check_share(batch, kind=ProgressiveGAN):
    """ε of the penalty leaves the growth alone."""
    model = small(kind)
    for growth in (0.25, 1.75):
        model.growth.fill_(growth)
        for player in players(model, RECIPE):
            player.loss(batch, generator("test", player.name))
            assert float(model.growth) == growth


def check_restarts(start, kind=ProgressiveGAN):
    """Moments gathered at one size would scale the steps at another."""
    run, counts = start(kind=kind), []
    for _ in range(10):
        run.play_round()
        # a layer to or from colours that is no longer in use has had fewer
        counts.append([max(int(s["step"]) for s in o.state.values()) for o in run.optimisers.values()])
    assert counts == [[n, n] for n in (1, 2, 3, 4, 1, 2, 3, 4, 1, 2)]


def check_averages(start, kind=ProgressiveGAN):
    """Averages are of the weights, and the growth is the run's."""
    run = start(kind=kind)
    quietly(run, until=5)
    finished = run.ema.finished(run.model, run.players, run.feed)
    assert float(finished.growth) == float(run.model.growth) == pytest.approx(1 / 3)
    images = finished.sample(2, seed=0)
    assert torch.equal(images, images[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))


def check_resumed(start, kind=ProgressiveGAN, stop=5):
    """A run that is left at `stop` and resumed ends in the same bits."""
    whole = start("whole", kind)
    quietly(whole)
    parts = start("parts", kind)
    quietly(parts, until=stop)
    assert parts.step == stop
    parts = start("parts", kind)
    parts.resume()
    assert parts.step == stop
    quietly(parts)
    for name, part in whole.parts.items():
        for key, value in part.state_dict().items():
            assert torch.equal(value, parts.parts[name].state_dict()[key]), (name, key)
    for name, optimiser in whole.optimisers.items():
        ours, theirs = optimiser.state_dict()["state"], parts.optimisers[name].state_dict()["state"]
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[i][slot], theirs[i][slot]) for i in ours for slot in ours[i])


def check_critic(batch, kind=ProgressiveGAN):
    """D minimises the distance, the penalty and the drift: each by itself, computed here from the nets; in
    [-1, 1], as the paper has it.
    """
    model, growth = small(kind), 0.5
    base = RECIPE.replace(game=Progressive(stage_rounds=(4,), gp_weight=0.0, drift=0.0))

    def loss(**options):
        game = Progressive(stage_rounds=(4,), **{"gp_weight": 0.0, "drift": 0.0, **options})
        return float(losses_of(model, batch, growth, base.replace(game=game))["discriminator"].detach())

    model.growth.fill_(growth)
    rng = generator("test", "discriminator")
    fake = model.generator(torch.randn(6, 8, generator=rng), growth).detach()
    real = 2 * model.seen(batch.images) - 1
    share = torch.rand(6, generator=rng).view(6, 1, 1, 1)
    point = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(model.discriminator(point, growth).sum(), point)
    penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    on_real, on_fake = (model.discriminator(x, growth).detach() for x in (real, fake))
    distance = float((on_fake.mean() - on_real.mean()).detach())
    assert loss() == pytest.approx(distance, rel=1e-3, abs=1e-4)
    assert loss(gp_weight=10.0) - distance == pytest.approx(10 * float(penalty), rel=1e-3, abs=1e-3)
    drift = 2 * float(on_real.square().mean())
    assert loss(drift=2.0) - distance == pytest.approx(drift, rel=1e-2, abs=1e-4)


def check_reals(batch, kind=ProgressiveGAN):
    """The detail that a stage is about to learn must not give the real images away at its start."""
    model = small(kind)
    model.growth.fill_(1 + 1e-6)
    d, g = players(model, RECIPE)
    d.loss(batch, generator("test"))
    for images in g.shown():
        blocks = images[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(images, blocks, rtol=0, atol=1e-4)


OF_RUNS = {
    "alpha stuck at 0": (check_growth, planted(Stuck)),
    "the fade reversed": (check_growth, planted(Reversed)),
    "the growth a round late": (check_growth, planted(Late)),
    "alpha moved by turns": (check_growth, planted(Hurried)),
    "alpha outside the checkpoint": (check_resumed, planted(Counting)),
    "no optimiser starts again": (check_restarts, planted(restarts=lambda name, own: None)),
    "D's optimiser does not start again": (
        check_restarts,
        planted(restarts=lambda name, own: own if name == "generator" else None),
    ),
    "G's optimiser does not start again": (
        check_restarts,
        planted(restarts=lambda name, own: own if name == "discriminator" else None),
    ),
    "optimisers start again when the fade ends": (
        check_restarts,
        planted(restarts=lambda name, own: lambda step: own(step - 2)),
    ),
    "the growth averaged": (check_averages, planted(base=OfTheNet)),
}
OF_LOSSES = {
    "epsilon written into alpha": (check_share, planted(Overwritten)),
    "the penalty at epsilon for alpha": (check_critic, planted(Borrowed)),
    "alpha for epsilon": (check_critic, planted(FadedShare)),
    "reals and fakes in one group": (check_critic, planted(Together)),
    "the drift of fakes": (check_critic, planted(Drifting)),
    "reals not faded": (check_reals, planted(base=Sharp)),
}


class TestPlanted:
    def test_a_planted_game_without_a_bug_passes(self, start, batch):
        for check in (check_share, check_critic, check_reals):
            check(batch, planted())
        for check in (check_growth, check_restarts, check_averages, check_resumed):
            check(start, planted())

    @pytest.mark.parametrize("name", OF_RUNS)
    def test_a_bug_of_runs_would_be_seen(self, start, name):
        check, kind = OF_RUNS[name]
        with pytest.raises(AssertionError):
            check(start, kind)

    @pytest.mark.parametrize("name", OF_LOSSES)
    def test_a_bug_of_losses_would_be_seen(self, batch, name):
        check, kind = OF_LOSSES[name]
        with pytest.raises(AssertionError):
            check(batch, kind)


class TestRounds:
    def test_the_growth_of_each_round_is_set_before_its_turns(self, start):
        check_growth(start)

    def test_the_penaltys_share_leaves_the_fade_alone(self, batch):
        check_share(batch)

    def test_layers_learn_from_the_stage_that_needs_them(self, start):
        run = start(ema=0.0)
        before = {key: value.clone() for key, value in run.model.state_dict().items()}

        def moved(part):
            now = run.model.state_dict()
            return any(not torch.equal(now[key], before[key]) for key in now if key.startswith(part))

        quietly(run, until=4)
        assert moved("generator.blocks.0") and moved("discriminator.judge")
        assert not moved("generator.blocks.1") and not moved("discriminator.blocks.0")
        run.play_round()
        assert moved("generator.blocks.1") and moved("discriminator.blocks.0")
        assert moved("generator.to_rgb.1") and not moved("generator.to_rgb.2")

    def test_optimisers_start_again_with_each_stage(self, start):
        check_restarts(start)

    def test_the_loop_pays_for_the_present_size_alone(self, start):
        """The loader gives 16×16; at the first stage no net and no penalty sees more than 4×4."""
        run, sides = start(), set()
        for part in (run.model.generator, run.model.discriminator):
            for module in part.modules():
                module.register_forward_hook(
                    lambda m, x, y: sides.add(max(y.shape[2:], default=0) if y.ndim == 4 else 0)
                )
        run.play_round()
        assert max(sides) == 4

    def test_averages_are_of_the_weights_and_the_growth_is_the_runs(self, start):
        check_averages(start)

    def test_it_learns_the_mean_of_the_digits(self, start, digits):
        """A few rounds at 4×4 bring G's mean image nearer to that of the data."""
        run = start(steps=80, game=Progressive(stage_rounds=(70, 1)), lr={"all": 5e-3}, batch_size=32)
        target = avg_pool2d(digits.float(range(512)), 4).mean(0)

        def distance():
            run.model.growth.fill_(0)
            return float((run.model.sample(64, seed=0)[:, :, ::4, ::4].mean(0) - target).square().mean())

        first = distance()
        quietly(run, until=70)
        assert distance() < first / 3


class TestResumed:
    @pytest.mark.parametrize("stop", [2, 4, 5, 8, 9, 13])
    def test_it_ends_in_the_same_bits(self, start, stop):
        """Within a stage, between two (4, 8), within a fade (5, 9), and at full size."""
        check_resumed(start, stop=stop)

    def test_it_may_go_on_for_longer(self, start):
        """Nothing depends on the number of steps, so a finished run can be continued."""
        quietly(start("short", steps=11))
        longer = start("short")
        longer.resume()
        quietly(longer)
        whole = start("whole")
        quietly(whole)
        for ours, theirs in zip(whole.model.parameters(), longer.model.parameters(), strict=True):
            assert torch.equal(ours, theirs)

    def test_another_schedule_is_another_run(self, start):
        quietly(start(), until=2)
        with pytest.raises(TrainingError, match="stage_rounds"):
            start(game=Progressive(stage_rounds=(3,))).resume()


class TestLosses:
    def test_d_minimises_the_distance_the_penalty_and_the_drift(self, batch):
        check_critic(batch)

    def test_g_wants_d_to_take_its_images_for_real(self, batch):
        model = small()
        for growth in (0.0, 1.5):
            model.growth.fill_(growth)
            (g,) = [p for p in players(model, RECIPE) if p.name == "generator"]
            loss = g.loss(batch, generator("test", "g"))
            fake = model.generator(torch.randn(6, 8, generator=generator("test", "g")), growth)
            torch.testing.assert_close(loss, -model.discriminator(fake, growth).mean(), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("name", list(OBJECTIVES))
    def test_any_objective(self, batch, name):
        """Both losses are those of the objective, of the images that D saw at the size of the stage."""
        model, growth = small(), 0.5
        model.growth.fill_(growth)
        game = Progressive(stage_rounds=(4,), objective=name, gp_weight=0.0, drift=0.0)
        d, g = players(model, RECIPE.replace(game=game))
        loss = d.loss(batch, generator("one"))
        real, fake = (model.discriminator(2 * images - 1, growth) for images in g.shown())
        assert float((real - fake).detach().abs().min()) > 1e-4  # so that a wrong sign or order would show
        close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
        close(loss, OBJECTIVES[name].discriminator_loss(real, fake))
        close(g.loss(batch, generator("two")), OBJECTIVES[name].generator_loss(fake, real))

    @pytest.mark.parametrize(("kind", "points"), [("r1", [0]), ("r2", [1]), ("r1-r2", [0, 1])])
    def test_any_penalty(self, batch, kind, points):
        """Half the squared slope at real images, at fakes or at both, over the pixels of the stage in [-1,
        1].
        """
        model, growth = small(), 0.5
        model.growth.fill_(growth)

        def loss(weight):
            game = Progressive(stage_rounds=(4,), penalty_kind=kind, gp_weight=weight, drift=0.0)
            d, g = players(model, RECIPE.replace(game=game))
            return float(d.loss(batch, generator("one")).detach()), g.shown()

        (plain, shown), (held, _) = loss(0.0), loss(50.0)
        seen = [(2 * shown[which] - 1).requires_grad_() for which in points]
        slopes = [torch.autograd.grad(model.discriminator(x, growth).sum(), x)[0] for x in seen]
        expected = sum(float(slope.flatten(1).square().sum(1).mean()) / 2 for slope in slopes)
        assert held - plain == pytest.approx(50 * expected, rel=1e-2) and expected > 1e-4

    def test_g_learns_from_the_fakes_that_d_saw(self, batch):
        model = small()
        d, g = players(model, RECIPE)
        d.loss(batch, generator("one"))
        fakes = 2 * g.shown()[1] - 1
        torch.testing.assert_close(
            g.loss(batch, generator("two")), -model.discriminator(fakes, 2.0).mean(), rtol=1e-4, atol=1e-5
        )

    def test_d_gives_no_gradient_to_g_and_each_loss_one_to_its_player(self, batch):
        model = small()
        for growth in (0.0, 0.5, 2.0):
            found = losses_of(model, batch, growth)
            reached = torch.autograd.grad(
                found["discriminator"], list(model.generator.parameters()), allow_unused=True
            )
            assert all(slope is None for slope in reached)
            for name, loss in found.items():
                own = list(getattr(model, name).parameters())
                slopes = torch.autograd.grad(loss, own, allow_unused=True)
                assert any(slope is not None and slope.abs().max() > 0 for slope in slopes), name

    def test_reals_are_faded_in_the_game(self, batch):
        check_reals(batch)

    def test_augmentation_is_of_both_and_at_the_size_of_the_stage(self, batch):
        model, seen = small(), []
        model.discriminator.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
        game = Progressive(stage_rounds=(4,), augment=("color", "translation", "cutout"))
        found = losses_of(model, batch, 1.0, RECIPE.replace(game=game))
        assert all(torch.isfinite(loss) for loss in found.values())
        plain = 2 * model.seen(batch.images) - 1
        assert {tuple(x.shape[2:]) for x in seen} == {(8, 8)} and not torch.equal(seen[0], plain)

    @pytest.mark.parametrize("n", [1, 2, 3, 5])
    def test_any_number_of_images(self, digits, n):
        found = losses_of(small(), Batch(digits.float(range(n))), 0.5)
        assert all(torch.isfinite(loss) for loss in found.values())


class TestRefusals:
    def test_a_run_that_ends_before_the_nets_are_complete(self):
        with pytest.raises(TrainingError, match="10 steps end at the stage of 16×16") as caught:
            players(small(), RECIPE.replace(steps=10))
        assert "steps=11 or more" in caught.value.hint
        assert players(small(), RECIPE.replace(steps=11))
        short = int(caught.value.hint.rpartition("stage_rounds=")[2])
        assert players(small(), RECIPE.replace(steps=10, game=Progressive(stage_rounds=(short,))))

    @pytest.mark.parametrize("steps", [1, 2, 5])
    def test_the_shorter_stages_of_the_hint_are_short_enough_where_any_are(self, steps):
        with pytest.raises(TrainingError) as caught:
            players(small(), RECIPE.replace(steps=steps))
        short = int(caught.value.hint.rpartition("stage_rounds=")[2])
        if steps > 2:  # three stages need three rounds
            assert players(small(), RECIPE.replace(steps=steps, game=Progressive(stage_rounds=(short,))))

    def test_compiled_nets(self):
        with pytest.raises(TrainingError, match=r"torch\.compile") as caught:
            players(small(), RECIPE.replace(compile="on"))
        assert caught.value.hint == "set compile=off"

    def test_options_of_another_game(self):
        card = CARDS["progressive"]
        with pytest.raises(UnknownNameError, match="has no setting 'weight_clip'"):
            plan(card, {"weight_clip": 0.01})

    @pytest.mark.parametrize("value", [0, "many", -3, (5, 0)])
    def test_rounds_that_are_none(self, value):
        with pytest.raises(ArgumentError, match="stage_rounds"):
            plan(CARDS["progressive"], {"stage_rounds": value})

    def test_settings_of_the_game_are_read(self):
        recipe, _ = plan(
            CARDS["progressive-bedrooms"],
            {"stage_rounds": 300, "fade": 0.25, "drift": 0.5, "augment": "none"},
        )
        assert recipe.game == Progressive(
            stage_rounds=(300,),
            fade=0.25,
            drift=0.5,
            objective="non-saturating",
            penalty_kind="r1",
            gp_weight=0.3,
        )


def test_the_core_knows_players_alone():
    """Both are of the class that any plugin has, and neither says more than the others can."""
    found = players(small(), RECIPE)
    assert [player.name for player in found] == ["discriminator", "generator"]
    assert all(type(player) is Player for player in found) and not any(p.recordable for p in found)
    assert [player.average for player in found] == [False, True]
