"""The laws of conditional models: honest ones of every family keep them, and each planted bug is seen."""

from __future__ import annotations

import pytest
import torch
from conditional_bugs import (
    BUGS,
    LabelChain,
    LabelVAE,
    LabelWeights,
    Unnormalised,
    ZeroGAN,
    first,
    game_of,
    same,
    shuffled,
)
from conditional_toys import NAMES, LabelBernoulli, LabelGAN
from torch import nn
from toys import recipe_of

from genzoo import Family, Labels, Recipe
from genzoo.evaluation import certificate_of, certify
from genzoo.losses.likelihood import mean_bits_per_dim
from genzoo.testing import LawError, check_card, check_conditional, check_density, check_game, check_model
from genzoo.testing.whole import laws_of
from genzoo.training import Player, players

HONEST = [LabelGAN, ZeroGAN, LabelBernoulli, LabelChain, LabelVAE, LabelWeights]


@pytest.fixture
def cards(card_of):
    """cards(kind, **facts): its card, with the labels of the tests."""

    def card(kind, **facts):
        return card_of(kind, **{"family": kind.family, "condition": Labels(NAMES), **facts})

    return card


class TestHonest:
    @pytest.mark.parametrize("kind", HONEST)
    def test_every_law_is_kept(self, cards, kind):
        check_model(cards(kind))

    def test_each_group_of_laws_is_asked(self, cards):
        names = [law.name for law in laws_of(cards(LabelGAN))]
        assert names == [
            "card", "samples", "latents", "implicit", "adversarial", "condition", "game", "weights",
        ]  # fmt: skip

    def test_a_model_without_a_condition_is_not_asked(self, card_of, kinds):
        assert "condition" not in [law.name for law in laws_of(card_of(kinds.game))]

    @pytest.mark.parametrize("kind", HONEST)
    @pytest.mark.parametrize("labels", [("alone",), ("a", "b"), tuple(map(str, range(10_000)))])
    def test_any_number_of_labels_will_do(self, made, kind, labels):
        model = made(kind, labels=labels, image_shape=(1, 4, 4))
        check_conditional(model)
        check_game(model)

    def test_nothing_is_left_changed(self, made):
        model = made(LabelGAN)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        check_conditional(model)
        check_game(model)
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert "_discriminate" not in vars(model) and not model.training


class TestBugs:
    @pytest.mark.parametrize("bug", BUGS)
    def test_each_is_seen(self, made, bug):
        kind, law = BUGS[bug]
        with pytest.raises(LawError, match=law):
            check_conditional(made(kind))

    @pytest.mark.parametrize(
        "bug",
        ["a discriminator without the label", "one label for a batch of codes", "a seed for each label"],
    )
    def test_and_fails_the_whole_check(self, cards, bug):
        kind, _ = BUGS[bug]
        with pytest.raises(LawError):
            check_model(cards(kind, condition=kind.condition_type(NAMES)))

    def test_a_model_without_a_condition_is_refused(self, made, kinds):
        with pytest.raises(LawError, match="is for a model that takes a condition"):
            check_conditional(made(kinds.game))


class TestDensity:
    """Σ p(x|c) is 1 for each label."""

    def test_one_label_in_three_that_does_not_sum_to_1_is_named(self, made):
        with pytest.raises(LawError, match=r"sums to 1; seen: Σ p\(x\) = 1.105\d+ .* label dog"):
            check_density(made(Unnormalised))
        with pytest.raises(LawError, match="sums to 1"):
            certify(made(Unnormalised).given("dog"))
        certify(made(Unnormalised).given("cat"))

    def test_the_weights_that_a_model_has_count_for_each_label(self, made):
        class Late(LabelBernoulli):
            def _log_prob(self, x, condition):
                return super()._log_prob(x, condition) + 0.1 * (condition == 1) * (
                    self.logits[0, 0, 0, 0] > 9
                )

        model = made(Late, image_shape=(1, 2, 2))
        check_density(model)
        model.logits.data[0, 0, 0, 0] = 10
        with pytest.raises(LawError, match="sums to 1"):
            check_density(model)

    def test_a_sampler_that_mixes_up_two_labels_is_seen(self, made):
        class Swapped(LabelBernoulli):
            def _sample(self, rng, condition):
                return super()._sample(rng, 2 - condition)

        with pytest.raises(LawError, match=r"as often as p.x. says.*label cat"):
            check_density(made(Swapped))

    def test_an_honest_one_has_a_certificate_with_its_condition_and_without(self, made):
        model = made(LabelBernoulli)
        for each in (model, model.given("dog")):
            assert any("Σ p(x) = 1" in line for line in certificate_of(each).checked)

    def test_a_leak_under_a_label_is_seen(self, made):
        class Leaking(LabelChain):
            def _predict(self, x, condition):
                return super()._predict(x.roll(-1, 3), condition)

        with pytest.raises(LawError, match="no pixel sees itself or a later one"):
            check_density(made(Leaking))


class TestGame:
    """Conditions reach the losses row by row."""

    @pytest.fixture
    def check(self, made):
        def run(**changes):
            kind = type("Played", (LabelGAN,), {})
            players.register(kind, lambda model, recipe: game_of(model, **changes))
            check_game(made(kind, norm=False, dropout=0.0), Recipe())

        return run

    def test_an_honest_game_passes(self, check):
        check()

    @pytest.mark.parametrize("kind", [LabelGAN, ZeroGAN])
    @pytest.mark.parametrize(
        "options",
        [
            {"objective": "hinge"},
            {"objective": "lsgan", "instance_noise": 0.1},
            {"objective": "wasserstein", "gp_weight": 10.0},
            {"replay": 0.5, "augment": ("color", "translation")},
            {"classes": 3},
        ],
    )
    def test_and_so_does_the_game_of_the_core(self, made, kind, options):
        check_game(made(kind, norm=False), recipe_of(**options))

    @pytest.mark.parametrize("place", ["on_images", "on_fakes", "in_generator"])
    @pytest.mark.parametrize("change", [shuffled, first, lambda c: c.flip(0)], ids=["next", "first", "flip"])
    def test_conditions_of_other_rows_are_seen(self, check, place, change):
        with pytest.raises(LawError, match="a condition affects the image of its own row alone"):
            check(**{place: change})

    def test_real_images_that_are_judged_without_theirs_are_seen(self, check):
        with pytest.raises(LawError, match="a player of a conditional model learns from its condition"):
            check(on_images=same)

    @pytest.mark.parametrize(
        ("change", "law"), [(same, "learns from its condition"), (shuffled, "of its own row alone")]
    )
    @pytest.mark.parametrize("kind", [LabelBernoulli, LabelChain, LabelVAE])
    def test_a_likelihood_that_is_not_asked_for_its_own_is_seen(self, made, kind, change, law):
        def play(model, recipe):
            def loss(batch, noise):
                return mean_bits_per_dim(
                    model._log_prob(batch.images, change(batch.condition)), model.image_shape
                )

            return [Player(name="model", module=model, loss=loss)]

        played = type("Played", (kind,), {})
        players.register(played, play)
        with pytest.raises(LawError, match=law):
            check_game(made(played), Recipe())

    def test_a_loss_that_depends_on_the_order_is_seen(self, made):
        def play(model, recipe):
            def loss(batch, noise):
                weights = torch.arange(1.0, len(batch) + 1)
                return -(weights * model._log_prob(batch.images, *batch.given)).mean()

            return [Player(name="model", module=model, loss=loss)]

        played = type("Played", (LabelBernoulli,), {})
        players.register(played, play)
        with pytest.raises(LawError, match="does not depend on their order"):
            check_game(made(played), Recipe())


class TestCard:
    def test_a_config_that_overrules_the_labels_is_refused(self, cards):
        with pytest.raises(
            LawError, match="states the condition of the model that it builds; seen: 2 labels"
        ):
            check_card(cards(LabelGAN, config={"labels": ("a", "b")}))

    def test_a_card_without_the_condition_of_its_class_is_refused(self, cards):
        with pytest.raises(LawError, match=r"takes the card's condition; seen: .*states no condition"):
            check_card(cards(LabelGAN, condition=None))

    def test_and_one_with_a_condition_for_a_class_without(self, cards, kinds):
        with pytest.raises(LawError, match=r"takes the card's condition; seen: .*states a condition"):
            check_card(cards(kinds.game, family=Family.IMPLICIT))

    def test_a_class_without_the_field_is_told_which(self, cards, kinds):
        class Fieldless(LabelGAN):
            Config = kinds.config

        with pytest.raises(LawError, match=r"accepted by its class; seen: .*unknown key 'labels'"):
            check_card(cards(Fieldless))


def test_a_condition_that_starts_at_zero_is_heard(made):
    """The two labels of fresh weights give the same bits; noise in the weights tells them apart."""
    model = made(ZeroGAN)
    assert torch.equal(model.sample(2, seed=0, condition=0), model.sample(2, seed=0, condition=1))
    check_conditional(model)
    assert not any(p.any() for p in (model.generator[0].weight, model.discriminator[0].weight))


def test_it_must_not_be_heard_for_another_reason(made):
    class Deaf(ZeroGAN):
        def __init__(self, config):
            super().__init__(config)
            self.generator[0] = nn.Embedding(len(config.labels), config.latent_size).requires_grad_(False)
            self.generator[0].register_forward_hook(lambda *told: 0 * told[2])

    with pytest.raises(LawError, match="gives another sample"):
        check_conditional(made(Deaf))
