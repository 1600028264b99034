"""The laws of models that take pictures and texts: honest ones keep them, and each planted bug is seen."""

from __future__ import annotations

import pytest
import torch
from told_bugs import TOLD, TRANSLATING
from told_toys import (
    CONDITION,
    CYCLE,
    PAIRED,
    TEXT,
    Cycle,
    MatchingGAN,
    Paired,
    TextGAN,
    cycle_game,
    matching_game,
    paired_game,
)
from torch.nn.functional import l1_loss

from genzoo import Picture, Recipe
from genzoo.testing import LawError, check_card, check_conditional, check_game, check_model, check_translating
from genzoo.testing.whole import laws_of
from genzoo.training import Player, players

HONEST = [Paired, Cycle, TextGAN, MatchingGAN]


@pytest.fixture
def card(card_of):
    """card(kind, **facts): its card, with a class that is imported from a module of its own."""
    return lambda kind, **facts: card_of(kind, **{"condition": CONDITION[kind], **facts})


class TestHonest:
    @pytest.mark.parametrize("kind", HONEST)
    def test_every_law_is_kept(self, card, kind):
        check_model(card(kind))

    def test_each_group_of_laws_is_asked(self, card):
        names = [law.name for law in laws_of(card(Paired))]
        assert names == ["card", "samples", "implicit", "translation", "condition", "game", "weights"]
        assert "translation" not in [law.name for law in laws_of(card(TextGAN))]

    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 12)])
    def test_colours_and_sizes(self, made, shape):
        for source in (1, 3):
            model = made(Paired, image_shape=shape, source_shape=(source, *shape[1:]))
            check_translating(model)
            check_conditional(model)

    def test_one_size_alone_is_enough(self, made):
        kind = type("Rigid", (Paired,), {"multiple": 0})
        check_translating(made(kind))

    def test_without_noise_where_the_config_says_so(self, made):
        model = made(Paired, dropout=0.0)
        assert not model.condition.noisy
        check_translating(model)

    def test_it_is_for_translating_models(self, made):
        with pytest.raises(LawError, match="is for a TranslatingModel"):
            check_translating(made(TextGAN))


class TestBugs:
    @pytest.mark.parametrize("bug", TRANSLATING)
    def test_each_of_a_translation_is_seen(self, made, bug):
        kind, law = TRANSLATING[bug]
        with pytest.raises(LawError, match=law):
            check_translating(made(kind))

    @pytest.mark.parametrize("bug", TOLD)
    def test_each_of_a_condition_is_seen(self, made, bug):
        kind, law = TOLD[bug]
        with pytest.raises(LawError, match=law):
            check_conditional(made(kind))


class TestCard:
    @pytest.mark.parametrize(
        ("kind", "condition", "seen"),
        [
            (Cycle, Picture((1, 8, 8), ("horse", "zebra")), "horse ↔ zebra"),
            (Paired, Picture((3, 8, 8), ("map", "photo"), both_ways=True), "map → photo"),
            (Paired, Picture((3, 8, 8), ("map", "photo"), noisy=False), "map → photo"),
        ],
    )
    def test_what_a_card_promises_is_held_against_the_class(self, card, kind, condition, seen):
        with pytest.raises(
            LawError, match=f"states the condition of the model that it builds; seen: .*{seen}"
        ):
            check_card(card(kind, condition=condition))

    def test_and_so_is_its_kind(self, card):
        for kind, condition in ((Paired, TEXT), (TextGAN, PAIRED), (Cycle, None)):
            with pytest.raises(LawError, match="takes the card's condition"):
                check_card(card(kind, condition=condition))


class TestGame:
    def check(self, made, kind, game):
        played = type("Played", (kind,), {})
        players.register(played, game)
        check_game(made(played, **({"norm": False, "dropout": 0.0} if kind is MatchingGAN else {})), Recipe())

    def test_wrong_texts_on_purpose_are_let_through_if_they_are_announced(self, made):
        self.check(made, MatchingGAN, matching_game)
        with pytest.raises(LawError, match="a condition affects the image of its own row alone"):
            self.check(made, MatchingGAN, lambda m, r: matching_game(m, r, mixes_rows=False))

    def test_a_player_that_mixes_rows_must_still_hear_them(self, made):
        def deaf(model, recipe):
            critic, maker = matching_game(model, recipe)

            def loss(batch, noise):
                nothing = torch.zeros_like(batch.condition)
                return model._discriminate(batch.images, nothing).square().mean()

            changed = Player(name="discriminator", module=critic.module, loss=loss, mixes_rows=True)
            return [changed, maker]

        with pytest.raises(LawError, match="learns from its condition"):
            self.check(made, MatchingGAN, deaf)

    def test_sources_of_other_rows_are_seen(self, made):
        def mixed(model, recipe):
            def loss(batch, noise):
                pair = torch.cat([batch.condition.roll(1, 0), batch.images], 1)
                return model.judge(pair).square().mean()

            _, maker = paired_game(model, recipe)
            needs = frozenset({"condition"})
            return [Player(name="discriminator", module=model.judge, loss=loss, needs=needs), maker]

        with pytest.raises(LawError, match="a condition affects the image of its own row alone"):
            self.check(made, Paired, mixed)

    def test_a_second_side_that_is_not_looked_at_is_seen(self, made):
        def half(model, recipe):
            def loss(batch, noise):
                return l1_loss(model._translate(batch.images, "zebra", None), batch.images)

            return [Player(name="generators", module=model, loss=loss, needs=frozenset({"other"}))]

        with pytest.raises(LawError, match="needs the second side learns from it"):
            self.check(made, Cycle, half)

    def test_sides_that_are_taken_for_pairs_are_seen(self, made):
        def paired(model, recipe):
            def loss(batch, noise):
                return l1_loss(model._translate(batch.images, "zebra", None), batch.other)

            return [Player(name="generators", module=model, loss=loss, needs=frozenset({"other"}))]

        with pytest.raises(LawError, match="two sides are not paired"):
            self.check(made, Cycle, paired)

    def test_honest_sides_pass(self, made):
        self.check(made, Cycle, cycle_game)
        assert CYCLE.both_ways
