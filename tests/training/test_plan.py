"""From a card and what the user set to a recipe, a config and data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import toys

from genzoo import GameOptions, Recipe
from genzoo.errors import ArgumentError, DataError, UnknownNameError
from genzoo.recipe import keys_of
from genzoo.schema import limits
from genzoo.training.plan import open_both, plan

CARD = toys.CARDS["toy-gan"]


@dataclass(frozen=True, kw_only=True)
class Lengths(GameOptions):
    """Options with a list of numbers of any length."""

    lengths: tuple[int, ...] = field(default=(1, 2), metadata=limits(1, 100))


class TestPlan:
    @pytest.mark.parametrize(
        ("value", "read"), [(7, (7,)), ((7,), (7,)), ((7, 8, 9), (7, 8, 9)), ([7, 8], (7, 8))]
    )
    def test_one_number_is_a_list_of_one(self, value, read):
        card = CARD.replace(recipe=CARD.recipe.replace(game=Lengths()))
        assert plan(card, {"lengths": value})[0].game.lengths == read

    @pytest.mark.parametrize("value", [True, "seven", 0, (1, 101)])
    def test_a_list_of_numbers_holds_nothing_else(self, value):
        card = CARD.replace(recipe=CARD.recipe.replace(game=Lengths()))
        with pytest.raises(ArgumentError, match="lengths must"):
            plan(card, {"lengths": value})

    @pytest.mark.parametrize(
        ("settings", "key", "value"),
        [
            ({"lr": 1e-3}, "lr", {"all": 1e-3}),
            ({"lr.generator": 1e-3}, "lr", {"all": 2e-3, "generator": 1e-3}),
            ({"optimizer": "muon", "optimizer.critic": "sgd"}, "optimizer", {"all": "muon", "critic": "sgd"}),
            ({"lr.generator": 1e-3, "lr": 5e-4}, "lr", {"all": 5e-4, "generator": 1e-3}),
            (
                {"lr": 5e-4, "lr.generator": 1e-3, "lr.discriminator": 4e-3},
                "lr",
                {"all": 5e-4, "generator": 1e-3, "discriminator": 4e-3},
            ),
            ({"turns.discriminator": 2}, "turns", {"discriminator": 2}),
            ({"augment": "color,cutout"}, "augment", ("color", "cutout")),
            ({"augment": " color , cutout ,"}, "augment", ("color", "cutout")),
            ({"augment": "none"}, "augment", ()),
            ({"augment": ("color",)}, "augment", ("color",)),
            ({"betas": (0.0, 0.9)}, "betas", (0.0, 0.9)),
            ({"ema": 0.99}, "ema", 0.99),
            ({"flip": True}, "flip", True),
            ({"objective": "minimax"}, "objective", "minimax"),
            ({"watch": False}, "watch", False),
        ],
    )
    def test_keys_of_the_recipe(self, settings, key, value):
        recipe, config = plan(CARD, settings)
        assert keys_of(recipe)[key] == value
        assert config == dict(CARD.config)
        assert recipe == toys.recipe_of(CARD.recipe, **{key: value})  # and nothing else

    @pytest.mark.parametrize(
        ("key", "value"), [("width", 6), ("image_size", "24x40"), ("channels", 1), ("image_shape", (1, 4, 4))]
    )
    def test_keys_of_the_config(self, key, value):
        recipe, config = plan(CARD, {key: value})
        assert config == {key: value} and recipe == CARD.recipe

    def test_arguments_win_unless_they_are_none(self):
        assert plan(CARD, {}, steps=3, data="x")[0] == CARD.recipe.replace(steps=3, data="x")
        assert plan(CARD, {}, steps=None, data=None)[0] == CARD.recipe

    def test_a_card_without_a_recipe_has_the_default(self):
        assert plan(CARD.replace(recipe=None), {})[0] == Recipe()

    @pytest.mark.parametrize(
        ("key", "near"),
        [
            ("widht", "width"),
            ("bacth_size", "batch_size"),
            ("imagesize", "image_size"),
            ("foo.bar", ""),
            ("betas.x", ""),
            ("chanels", "channels"),
        ],
    )
    def test_an_unknown_key_is_named_with_the_nearest(self, key, near):
        with pytest.raises(UnknownNameError, match=f"toy-gan has no setting '{key}'") as caught:
            plan(CARD, {key: 1})
        assert f"did you mean '{near}'" in caught.value.message or not near
        assert "lr.PLAYER" in caught.value.hint and "width" in caught.value.hint

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"batch_size": 0}, "batch_size must lie between 1"),
            ({"batch_size": "many"}, "batch_size must be a whole number, not 'many'"),
            ({"lr": "fast"}, "lr.all must be a number"),
            ({"lr": -1}, "lr.all must lie between 0"),
            ({"lr.generator": True}, "lr.generator must be a number, not True"),
            ({"turns.generator": 0}, "turns.generator must lie between 1"),
            ({"turns": 2}, "turns must be a table"),
            ({"augment": "colour"}, "did you mean 'color'"),
            (
                {"objective": "wgan"},
                (
                    "objective must be one of minimax, non-saturating, lsgan, hinge, relativistic, "
                    "wasserstein, not 'wgan'"
                ),
            ),
            ({"weight_clip": -1}, "clip must lie between 0"),
            ({"gp_weight": "10x"}, "gp_weight must be a number"),
            ({"optimizer": "muno"}, "did you mean 'muon'"),
            ({"optimizer.critic": "adamw"}, "optimizer.critic must be one of adam, rmsprop, sgd, muon"),
            ({"betas": "0.5"}, "betas must have 2 items"),
            ({"betas": (0.5, 1.0)}, "betas must lie between"),
            ({"flip": "yes"}, "flip must be true or false"),
            ({"steps": 1.5}, "steps must be a whole number"),
            ({"seed": -1}, "seed must lie between"),
            ({"ema": float("nan")}, "ema must be a finite number"),
        ],
    )
    def test_bad_values_say_what_was_expected(self, settings, told):
        with pytest.raises(ArgumentError) as caught:
            plan(CARD, settings)
        assert "recipe of toy-gan: " in caught.value.message and told in caught.value.message

    def test_the_card_is_left_as_it_was(self):
        plan(CARD, {"lr.generator": 1.0, "width": 9})
        assert dict(CARD.config) == {} and dict(CARD.recipe.lr) == {"all": 2e-3}


PHOTOS = np.random.default_rng(0).integers(0, 255, (30, 12, 20, 3), dtype=np.uint8)


class TestOpen:
    @pytest.mark.parametrize(
        ("config", "shape"),
        [
            ({}, (3, 12, 20)),
            ({"image_size": 16}, (3, 16, 16)),
            ({"image_size": "16"}, (3, 16, 16)),
            ({"image_size": "24x40"}, (3, 24, 40)),
            ({"image_size": "24×40"}, (3, 24, 40)),
            ({"channels": 1}, (1, 12, 20)),
            ({"image_size": "8x6", "channels": 1}, (1, 8, 6)),
            ({"image_shape": (1, 8, 8)}, (1, 8, 8)),
            ({"image_shape": (1, 8, 8), "image_size": 10}, (1, 10, 10)),
            ({"image_shape": (1, 8, 8), "channels": 3}, (3, 8, 8)),
        ],
    )
    def test_the_size_is_what_was_set_then_the_cards_then_the_datas_own(self, config, shape):
        train, test = open_both(PHOTOS, config, Recipe(val_split=0.3))
        assert train.shape == test.shape == shape == config["image_shape"]
        assert set(config) == {"image_shape"}
        assert len(train) + len(test) == 30 and (train.split, test.split) == ("train", "test")

    def test_digits_keep_their_size(self):
        config = {}
        train, test = open_both("digits", config, Recipe())
        assert config == {"image_shape": (1, 8, 8)}
        assert len(train) + len(test) == 1797 and len(test) > 100

    @pytest.mark.parametrize("source", ["digits", "binarized-digits", PHOTOS])
    def test_validation_images_are_kept_out_of_training_where_asked(self, source):
        def seen(images):
            return {image.tobytes() for image in images.pixels}

        (learned, judged), (everything, unseen) = (
            open_both(source, {}, Recipe(validation=asked)) for asked in (True, False)
        )
        assert (learned.split, judged.split) == ("fit", "valid") and len(learned) + len(judged) == len(
            everything
        )
        assert (
            not seen(learned) & seen(judged)
            and not seen(judged) & seen(unseen)
            and not seen(learned) & seen(unseen)
        )

    def test_nothing_held_out(self):
        train, test = open_both(PHOTOS, {}, Recipe(val_split=0.0))
        assert len(train) == 30 and test is None

    @pytest.mark.parametrize(
        "size", ["24x", "x40", "24x40x3", "big", -8, 1.5, True, "24 x 40", "", [24, 40], "٢٤", "２４x４０"]
    )
    def test_sizes_that_cannot_be_read(self, size):
        with pytest.raises(ArgumentError, match="image_size must be a side or HEIGHTxWIDTH, not") as caught:
            open_both(PHOTOS, {"image_size": size}, Recipe())
        assert "24x40" in caught.value.hint

    @pytest.mark.parametrize(
        "config",
        [
            {"image_size": 0},
            {"channels": 2},
            {"channels": "grey"},
            {"image_size": "99999x2"},
            {"image_shape": (3, 8)},
        ],
    )
    def test_shapes_that_no_image_has(self, config):
        with pytest.raises(ArgumentError, match="image_shape"):
            open_both(PHOTOS, config, Recipe())

    def test_no_data_named(self):
        with pytest.raises(ArgumentError, match="there is no data to train on") as caught:
            open_both("", {}, Recipe())
        assert "--data" in caught.value.hint

    @pytest.mark.parametrize("source", ["digist", "./nowhere", 3, None])
    def test_data_that_is_not_there(self, source):
        with pytest.raises((DataError, UnknownNameError, ArgumentError)) as caught:
            open_both(source, {}, Recipe())
        assert str(caught.value).isprintable()
