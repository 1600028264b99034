"""The one loop plays any game and names no kind of model."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest
import torch
import toys
from torch import nn
from torch.nn.functional import mse_loss, softplus
from toys import Bernoulli, SadGAN, ToyConfig

from genzoo import Adversarial
from genzoo.data import Images
from genzoo.errors import ArgumentError, TrainingError
from genzoo.models import EncodingModel, GenerativeModel, Posterior
from genzoo.rng import generator
from genzoo.training import Player, checkpoint, loop, players, terms
from genzoo.training.loop import play
from genzoo.training.parallel import World
from genzoo.training.terms import fingerprint


def quietly(run, stop=lambda: False):
    losses = []
    return play(run, losses.append, lambda: None, stop), losses


class VAEGAN(EncodingModel, GenerativeModel):
    """Three players (Larsen et al. 2016): an encoder, a decoder and a discriminator."""

    Config = ToyConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 2 * config.latent_size))
        self.decoder = nn.Sequential(
            nn.Linear(config.latent_size, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8))
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.Linear(8, 1)
        )
        self.clipped = 0

    def _encode(self, x):
        return Posterior(*self.encoder(x).chunk(2, 1))

    def _decode(self, z):
        return self.decoder(z)

    def _sample(self, draws):
        return self._decode(self._latents(draws))


@players.register
def vaegan_players(model: VAEGAN, recipe):
    def reconstruct(batch, noise):
        images = batch.images
        mean, log_variance = model._encode(images)
        z = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=noise)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        return kl / 64 + mse_loss(model._decode(z), images), z

    def discriminate(batch, noise):
        images = batch.images
        fake = model._decode(reconstruct(batch, noise)[1]).detach()
        return (softplus(-model.discriminator(images)) + softplus(model.discriminator(fake))).mean()

    def draw(batch, noise):
        loss, z = reconstruct(batch, noise)
        return loss + 0.01 * softplus(-model.discriminator(model._decode(z))).mean()

    def clip():
        model.clipped += 1
        with torch.no_grad():
            for parameter in model.discriminator.parameters():
                parameter.clamp_(-0.05, 0.05)

    return [
        Player(name="encoder", module=model.encoder, loss=lambda batch, noise: reconstruct(batch, noise)[0]),
        Player(name="decoder", module=model.decoder, loss=draw, fresh=False, average=True),
        Player(
            name="critic",
            module=model.discriminator,
            loss=discriminate,
            turns=recipe.turns_of("critic"),
            after_turn=clip,
        ),
    ]


class TestGames:
    def test_a_strangers_three_player_game(self, start):
        run = start(
            model=VAEGAN(ToyConfig()),
            steps=40,
            turns={"critic": 2},
            lr={"all": 1e-2, "critic": 1e-3},
            ema=0.5,
        )
        done, losses = quietly(run)
        assert done and run.step == 40 and run.batches == 120
        assert losses[-1]["encoder"] < 0.7 * losses[0]["encoder"]
        assert list(losses[0]) == ["encoder", "decoder", "critic"]
        assert run.model.clipped == 80
        assert max(p.abs().max() for p in run.model.discriminator.parameters()) <= 0.05
        assert {name: o.param_groups[0]["lr"] for name, o in run.optimisers.items()} == {
            "encoder": 1e-2,
            "decoder": 1e-2,
            "critic": 1e-3,
        }

    def test_it_is_resumed_as_any_other(self, start, tmp_path):
        whole = start(model=VAEGAN(ToyConfig()), folder=tmp_path, steps=4)
        state = {key: value.clone() for key, value in whole.model.state_dict().items()}
        quietly(whole)
        for steps in (2, 4):
            model = VAEGAN(ToyConfig())
            model.load_state_dict(state)
            (tmp_path / "b").mkdir(exist_ok=True)
            run = start(model=model, folder=tmp_path / "b", steps=steps)
            if steps == 4:
                run.resume()
            quietly(run)
        assert all(
            torch.equal(value, whole.model.state_dict()[key]) for key, value in run.model.state_dict().items()
        )

    def test_the_likelihood_game_reaches_the_entropy(self, start, digits):
        """No density can do better than the entropy of the pixels on average; the optimum is known here."""
        black_white = Images(pixels=(digits.pixels > 127).astype("uint8") * 255, transform="static-binarised")
        share = (black_white.float().sum(0) + 0.5) / (len(black_white) + 1)
        entropy = -(share * share.log2() + (1 - share) * (1 - share).log2()).mean().item()
        run = start(
            model=Bernoulli(ToyConfig()),
            data=black_white,
            steps=150,
            batch_size=599,
            lr={"all": 0.15},
            betas=(0.9, 0.99),
        )
        _, losses = quietly(run)
        reached = run.model.bits_per_dim(black_white.float()).mean().item()
        assert losses[0]["model"] == pytest.approx(1.0)
        assert entropy - 1e-3 < reached < entropy + 5e-3
        assert list(losses[0]) == ["model"]

    def test_the_loop_names_no_kind_of_model(self):
        """What it imports of models is Model, and it asks for no class."""
        tree = ast.parse(Path(loop.__file__).read_text(encoding="utf-8"))
        names = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and "models" in str(node.module)
            for alias in node.names
        }
        assert names == {"Model"}
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "issubclass" not in called
        words = Path(loop.__file__).read_text(encoding="utf-8").lower()
        assert not [
            word
            for word in ("implicit", "density", "generator_", "discriminator", "latent", "dcgan")
            if word in words
        ]


class TestRounds:
    def test_a_turn_gives_gradients_to_its_player_alone(self, start):
        """Also where a loss passes through the others' networks and nobody froze them."""
        run = start(model=VAEGAN(ToyConfig()))
        for player in run.players:
            run.model.zero_grad(set_to_none=True)
            run._turn(player, 0, run.feed(0))
            assert [
                other.name
                for other in run.players
                if any(p.grad is not None for p in other.module.parameters())
            ] == [player.name]

    def test_images_are_shared_with_players_that_are_not_fresh(self, start):
        run = start(model=VAEGAN(ToyConfig()))
        seen = {}
        for player in run.players:
            object.__setattr__(
                player,
                "loss",
                lambda batch, noise, name=player.name, loss=player.loss: (
                    seen.setdefault(name, batch.images).mean() * 0 + loss(batch, noise)
                ),
            )
        run.play_round()
        assert seen["decoder"] is seen["encoder"] and not torch.equal(seen["critic"], seen["encoder"])

    def test_noise_is_a_function_of_seed_player_step_and_turn(self, start):
        drawn = []
        run = start(model=Bernoulli(ToyConfig()), turns={"model": 2})
        object.__setattr__(
            run.players[0],
            "loss",
            lambda batch, noise: (
                drawn.append(torch.rand(1, generator=noise).item()) or run.model.logits.sum()
            ),
        )
        for _ in range(2):
            run.play_round()
        expected = [
            torch.rand(1, generator=generator(0, "model", step, turn, 0)).item()
            for step in (0, 1)
            for turn in (0, 1)
        ]
        assert drawn == expected and len(set(drawn)) == 4

    def test_optimisers_that_start_again_have_forgotten_everything(self, start):
        """In the round that the player names, before its first turn, and no other player's."""
        run = start(model=VAEGAN(ToyConfig()), turns={"critic": 2})
        critic = next(player for player in run.players if player.name == "critic")
        object.__setattr__(critic, "restarts_at", lambda step: step == 2)
        counts = []
        for _ in range(4):
            run.play_round()
            counts.append(
                {name: {int(s["step"]) for s in o.state.values()} for name, o in run.optimisers.items()}
            )
        assert [count["critic"] for count in counts] == [{2}, {4}, {2}, {4}]
        assert [count["encoder"] for count in counts] == [{1}, {2}, {3}, {4}]

    def test_a_run_resumed_where_an_optimiser_starts_again_ends_alike(self, start, tmp_path):
        def restarting(folder, resume=False):
            run = start(folder=tmp_path / folder, steps=4)
            for player in run.players:
                object.__setattr__(player, "restarts_at", lambda step: step == 2)
            if resume:
                run.resume()
            return run

        whole, parts = restarting("whole"), restarting("parts")
        quietly(whole)
        quietly(parts, stop=lambda: parts.step >= 2)
        parts = restarting("parts", resume=True)
        assert parts.step == 2
        quietly(parts)
        for ours, theirs in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
            assert torch.equal(ours, theirs)

    def test_stop_finishes_the_step_and_saves(self, start):
        run = start(steps=50)
        done, losses = quietly(run, stop=lambda: run.step >= 3)
        assert not done and run.step == len(losses) == 3
        assert checkpoint.read(run.checkpoint)[1].step == 3

    def test_stop_at_the_last_step_is_done(self, start):
        assert quietly(start(steps=2), stop=lambda: True)[0] is False
        assert quietly(start(steps=1), stop=lambda: True)[0] is True

    def test_a_finished_run_plays_no_more(self, start):
        quietly(start(steps=2))
        run = start(steps=2)
        run.resume()
        assert quietly(run) == (True, [])


class TestFaults:
    def test_nan_is_named_and_the_last_good_checkpoint_stays_intact(self, start, monkeypatch):
        monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
        run = start(model=SadGAN(ToyConfig()), steps=20)
        with pytest.raises(
            TrainingError, match="step 4: the loss of the discriminator is nan; the last good checkpoint is "
        ):
            quietly(run)
        tensors, facts = checkpoint.read(run.checkpoint)
        assert facts.step == 3
        assert all(torch.isfinite(t).all() for t in tensors.values())

    def test_weights_that_are_not_finite_are_never_saved(self, start):
        run = start(steps=20)
        run.play_round()
        run.save()
        before = run.checkpoint.read_bytes()
        with torch.no_grad():
            run.model.generator[0].weight[0, 0] = float("inf")
        with pytest.raises(
            TrainingError, match="step 1: weights are not finite; the last good checkpoint is "
        ):
            run.save()
        assert run.checkpoint.read_bytes() == before

    @pytest.mark.parametrize(
        ("recipe", "told"),
        [
            (
                {"lr": {"genrator": 1.0}},
                r"lr\.genrator: this game has no player 'genrator'; did you mean 'generator'",
            ),
            ({"turns": {"critic": 2}}, r"turns\.critic: this game has no player 'critic'"),
            ({"turns": {"all": 2}}, r"turns\.all: this game has no player 'all'"),
        ],
    )
    def test_unknown_players_are_named(self, start, recipe, told):
        with pytest.raises(ArgumentError, match=told) as caught:
            start(**recipe)
        assert "its players: discriminator, generator" in caught.value.hint

    def test_a_batch_that_cannot_be_shared(self, start):
        with pytest.raises(ArgumentError, match="batch_size=16 cannot be divided among 3 processes"):
            start(world=World(0, 3))

    def test_an_averaged_module_outside_the_model(self, start, monkeypatch):
        stray = nn.Linear(1, 1)
        monkeypatch.setattr(
            loop, "players", lambda model, recipe: [Player(name="a", module=stray, loss=None, average=True)]
        )
        with pytest.raises(TrainingError, match="the module of the player 'a' is not part of ToyGAN"):
            start()


def test_the_fingerprint_is_what_decides_the_bits():
    usual = toys.RECIPE.replace(game=Adversarial())
    known = fingerprint(usual)
    for change in (
        {"lr": {"all": 1.0}},
        {"batch_size": 8},
        {"seed": 1},
        {"ema": 0.5},
        {"flip": True},
        {"augment": ("color",)},
        {"turns": {"generator": 2}},
        {"precision": "bf16"},
        {"objective": "minimax"},
        {"betas": (0.1, 0.2)},
        {"weight_clip": 0.5},
        {"gp_weight": 10.0},
        {"bursts": True},
        {"val_split": 0.5},
    ):
        assert fingerprint(toys.recipe_of(usual, **change)) != known, change
    for change in (
        {"steps": 99},
        {"command": "genzoo train x"},
        {"save_dtype": "float16"},
        {"watch": False},
        {"data": "./elsewhere"},
    ):
        assert fingerprint(usual.replace(**change)) == known, change


def test_another_config_is_another_run(start):
    """Even where all tensors have the same shapes, as with a weight in the loss."""
    model = VAEGAN(ToyConfig())
    quietly(start(model=model, steps=2), stop=lambda: True)
    other = VAEGAN(ToyConfig())
    other.config = dataclasses.replace(other.config, width=other.config.width + 1)
    with pytest.raises(TrainingError, match=r"made with other config: width was \d+, is \d+"):
        start(model=other, steps=2).resume()
    start(model=VAEGAN(ToyConfig()), steps=2).resume()


def test_a_key_that_an_older_genzoo_did_not_know_had_its_default(start):
    run = start(steps=3)
    run.play_round()
    facts = run.facts()
    for table, key in ((facts.config, "dropout"), (facts.recipe, "replay")):
        del table[key]
    run.facts = lambda: facts
    run.save()
    start(steps=3).resume()
    with pytest.raises(TrainingError, match=r"made with other config: dropout was 0\.3, is 0\.1"):
        start(steps=3, model=toys.gan(dropout=0.1)).resume()


class TestCooldown:
    def rates(self, run):
        return {name: optimiser.param_groups[0]["lr"] for name, optimiser in run.optimisers.items()}

    def test_the_rates_fall_linearly_over_the_last_share_of_the_steps(self):
        recipe = toys.RECIPE.replace(steps=10, lr_decay=0.4)
        assert [recipe.warmth(step) for step in range(10)] == [1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]

    def test_without_it_they_stay(self):
        recipe = toys.RECIPE.replace(steps=10)
        assert {recipe.warmth(step) for step in range(10)} == {1.0}

    def test_every_player_keeps_its_own_rate(self, start):
        run = start(steps=4, lr_decay=1, lr={"generator": 1e-3, "discriminator": 4e-3})
        for left in (1, 0.75, 0.5, 0.25):
            run.play_round()
            assert self.rates(run) == pytest.approx({"generator": left * 1e-3, "discriminator": left * 4e-3})

    def test_a_resumed_run_ends_in_the_same_bits(self, start, tmp_path):
        whole = start(folder=tmp_path / "a", steps=6, lr_decay=0.5)
        quietly(whole)
        part = start(folder=tmp_path / "b", steps=6, lr_decay=0.5)
        quietly(part, stop=lambda: part.step == 5)
        rest = start(folder=tmp_path / "b", steps=6, lr_decay=0.5)
        rest.resume()
        quietly(rest)
        for a, b in zip(whole.model.state_dict().values(), rest.model.state_dict().values(), strict=True):
            assert torch.equal(a, b)

    @pytest.mark.parametrize("steps", [4, 8])
    def test_before_the_rates_fall_the_end_may_be_moved(self, start, tmp_path, steps):
        part = start(folder=tmp_path / "a", steps=6, lr_decay=0.5)
        quietly(part, stop=lambda: part.step == 2)
        rest = start(folder=tmp_path / "a", steps=steps, lr_decay=0.5)
        rest.resume()
        quietly(rest)
        whole = start(folder=tmp_path / "b", steps=steps, lr_decay=0.5)
        quietly(whole)
        for a, b in zip(whole.model.state_dict().values(), rest.model.state_dict().values(), strict=True):
            assert torch.equal(a, b)

    @pytest.mark.parametrize(("reached", "steps"), [(5, 8), (3, 4), (6, 12)])
    def test_afterwards_it_may_not(self, start, tmp_path, reached, steps):
        part = start(folder=tmp_path, steps=6, lr_decay=0.5)
        quietly(part, stop=lambda: part.step == reached)
        with pytest.raises(
            TrainingError,
            match=rf"step {reached} of 6; with {steps} steps, .*lr_decay=0.5.*--steps 6, or choose another",
        ):
            start(folder=tmp_path, steps=steps, lr_decay=0.5).resume()

    def test_a_checkpoint_of_before_the_key_existed_goes_on(self, start, monkeypatch):
        old = {
            key: value
            for key, value in fingerprint(toys.RECIPE, ("discriminator", "generator")).items()
            if key != "lr_decay"
        }
        part = start(steps=2)
        with monkeypatch.context() as earlier:
            earlier.setattr(terms, "fingerprint", lambda recipe, players: old)
            quietly(part, stop=lambda: True)
        rest = start(steps=2)
        rest.resume()
        assert rest.step == 1
        with pytest.raises(TrainingError, match="lr_decay was 0"):
            start(steps=2, lr_decay=0.5).resume()
