"""Recipes that are known to fail are refused before the first step, with the reason and with what to do."""

from __future__ import annotations

import pytest
import toys
from toys import recipe_of

from genzoo.errors import TrainingError
from genzoo.losses.objectives import OBJECTIVES
from genzoo.training.players import players
from genzoo.training.refusals import check_recipe

CALM = {"betas": (0.0, 0.9)}


def refused(norm=True, **recipe):
    with pytest.raises(TrainingError) as caught:
        check_recipe(toys.gan(norm=norm), recipe_of(**recipe))
    return caught.value


class TestRefused:
    def test_a_critic_that_nothing_holds(self):
        error = refused(objective="wasserstein")
        assert "objective=wasserstein needs a critic of bounded slope" in error.message
        assert "gp_weight=10" in error.hint and "weight_clip=0.01" in error.hint

    def test_batch_norm_with_the_penalty(self):
        error = refused(objective="wasserstein", gp_weight=10.0, **CALM)
        assert "gp_weight=10 constrains the critic's slope at each image" in error.message
        assert "batch norm in the discriminator (1)" in error.message
        assert "layer norm or none" in error.hint
        # whatever the objective
        assert "batch norm" in refused(objective="non-saturating", gp_weight=1.0).message

    @pytest.mark.parametrize("optimizer", ["adam", "muon"])
    def test_momentum_with_clipping(self, optimizer):
        error = refused(
            objective="wasserstein", weight_clip=0.01, optimizer={"all": optimizer}, betas=(0.5, 0.9)
        )
        assert (
            "weight_clip=0.01 does not work with momentum" in error.message
            and "optimizer.discriminator=rmsprop" in error.hint
        )
        assert "momentum" in refused(weight_clip=0.1).message

    def test_targets_of_pairs(self):
        error = refused(objective="relativistic", soft_labels=0.3)
        assert "compares pairs" in error.message and "soft_labels=0" in error.hint

    def test_clipping_what_is_divided_by_its_norm(self):
        with pytest.raises(TrainingError) as caught:
            check_recipe(toys.gan(norm=False, spectral=True), recipe_of(weight_clip=0.01, **CALM))
        assert "bounds nothing under spectral normalisation" in caught.value.message
        assert "weight_clip=0" in caught.value.hint

    def test_a_critic_whose_slope_spectral_norm_does_not_bound(self):
        """Batch norm divides by what may be small."""
        with pytest.raises(TrainingError, match="nothing bounds it"):
            check_recipe(toys.gan(norm=True, spectral=True), recipe_of(objective="wasserstein"))

    def test_both_at_once(self):
        assert (
            "weight_clip=0.01 and gp_weight=10 contradict each other"
            in refused(norm=False, weight_clip=0.01, gp_weight=10.0, **CALM).message
        )

    def test_compiling_what_is_differentiated_twice(self):
        error = refused(norm=False, gp_weight=10.0, compile="on")
        assert "torch.compile cannot compute" in error.message and "compile=off" in error.hint

    def test_it_is_said_when_training_starts(self, start):
        with pytest.raises(TrainingError, match="needs a critic of bounded slope"):
            start(objective="wasserstein")
        with pytest.raises(TrainingError, match="does not work with momentum"):
            players(toys.gan(), recipe_of(weight_clip=0.01))


class TestAllowed:
    def test_a_critic_of_bounded_norm(self):
        check_recipe(toys.gan(norm=False, spectral=True), recipe_of(objective="wasserstein"))

    @pytest.mark.parametrize("objective", list(OBJECTIVES))
    @pytest.mark.parametrize(
        ("norm", "recipe"),
        [
            (True, {"weight_clip": 0.01, "optimizer": {"all": "adam", "discriminator": "rmsprop"}}),
            (True, {"weight_clip": 0.01, "optimizer": {"all": "sgd"}}),
            (True, {"weight_clip": 0.01, **CALM}),
            (False, {"gp_weight": 10.0}),
        ],
    )
    def test_any_objective_with_a_held_discriminator(self, objective, norm, recipe):
        check_recipe(toys.gan(norm=norm), recipe_of(objective=objective, **recipe))

    @pytest.mark.parametrize("objective", [name for name, one in OBJECTIVES.items() if one.bounded])
    def test_any_bounded_objective_with_any_nets(self, objective):
        check_recipe(toys.gan(), recipe_of(objective=objective))

    def test_batch_norm_in_the_generator(self):
        net = toys.gan()
        net.discriminator = toys.gan(norm=False).discriminator
        check_recipe(net, recipe_of(gp_weight=10.0))
