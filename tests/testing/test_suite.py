"""The one line of a plugin's tests: what it asks, of whom, and what it says where a law is broken."""

import pytest
import torch

import genzoo.testing
from genzoo import registry
from genzoo.testing import LawError, laws

OF_A_GAME = ["plugin", "card", "samples", "latents", "implicit", "adversarial", "game", "weights"]


def asked(test):
    """Return name -> law, as pytest would run them."""
    (mark,) = test.pytestmark
    return {param.id: param.values[0] for param in mark.args[1]}


def kinds_of(found):
    return [name.rpartition("-")[2] for name in found]


@pytest.fixture
def plugged(plug, card_of):
    """plugged(cls, **facts): makes the card of `cls` the only one, of the distribution genzoo-toys."""
    yield lambda cls, **facts: plug(card_of(cls, **facts))
    registry.installed.cache_clear()


def test_each_law_that_applies_is_a_test_of_its_own(kinds, plugged):
    plugged(kinds.game)
    found = asked(laws("genzoo-toys"))
    assert kinds_of(found) == OF_A_GAME
    assert list(found)[:2] == ["genzoo-toys-plugin", "mine-card"]
    for law in found.values():
        law()


def test_the_laws_are_those_of_the_class(kinds, plugged):
    plugged(kinds.pixels, recipe=None)
    assert kinds_of(asked(laws("genzoo_toys"))) == ["plugin", "card", "samples", "density", "weights"]
    plugged(kinds.coder, recipe=None)
    assert kinds_of(asked(laws("Genzoo.Toys"))) == ["plugin", "card", "latents", "weights"]


def broken(found):
    """Return the names of the laws that are broken."""
    names = []
    for name, law in found.items():
        try:
            law()
        except LawError:
            names.append(name.rpartition("-")[2])
    return names


def test_one_fault_breaks_the_laws_that_speak_of_it_and_no_others(kinds, plugged):
    plugged(
        type(
            "Broken",
            (kinds.game,),
            {"_discriminate": lambda self, x: kinds.game._discriminate(self, x).sigmoid()},
        )
    )
    assert broken(asked(laws("genzoo-toys"))) == ["adversarial"]


def test_a_law_that_changes_the_model_leaves_no_trace_in_the_next(kinds, plugged):
    class Worn(kinds.game):
        def _sample(self, draws):
            with torch.no_grad():
                self.generator[0].bias.add_(torch.nan)
            return super()._sample(draws)

    plugged(Worn)
    assert "latents" not in broken(asked(laws("genzoo-toys")))


def test_what_is_fixed_stays(kinds, plugged):
    seen = []

    class Watched(kinds.game):
        def __init__(self, config):
            seen.append(config)
            super().__init__(config)

    plugged(Watched)
    asked(laws("genzoo-toys", image_shape=(1, 3, 5)))["mine-implicit"]()
    assert {config.image_shape for config in seen} == {(1, 3, 5)}
    assert seen[-1].latent_size == 8


def test_models_can_be_chosen(kinds, plug, card_of):
    plug(card_of(kinds.game), card_of(kinds.game, name="other"))
    assert {name.rpartition("-")[0] for name in asked(laws("genzoo-toys", "other"))} == {
        "genzoo-toys",
        "other",
    }
    with pytest.raises(LawError, match="no absent — look at its cards: mine, other"):
        asked(laws("genzoo-toys", "absent"))["genzoo-toys-plugin"]()


def test_a_plugin_that_is_not_installed_is_one_broken_law(plugged, kinds):
    plugged(kinds.game)
    found = asked(laws("genzoo-toyz"))
    assert list(found) == ["genzoo-toyz-plugin"]
    with pytest.raises(
        LawError, match=r"no plugin is called 'genzoo-toyz'; did you mean 'genzoo-toys'.* pip install -e \."
    ):
        found["genzoo-toyz-plugin"]()


def test_a_plugin_that_cannot_be_loaded_says_why(kinds, plug, card_of):
    plug(card_of(kinds.game), card_of(kinds.game))
    found = asked(laws("genzoo-toys"))
    with pytest.raises(LawError, match="gives the name 'mine' after 'mine'"):
        found.pop("genzoo-toys-plugin")()
    assert found == {}


def test_a_class_that_cannot_be_imported_is_a_broken_law_of_its_card(kinds, plug, card_of):
    plug(card_of(kinds.game).replace(model="a_plugin_of_the_tests:Absent"))
    found = asked(laws("genzoo-toys"))
    assert kinds_of(found) == ["plugin", "card"]
    with pytest.raises(LawError, match="cannot be imported"):
        found["mine-card"]()


def test_any_other_error_is_a_broken_law_that_names_the_line(kinds, plugged):
    plugged(type("Broken", (kinds.game,), {"_discriminate": lambda self, x: self.discriminator(x[:, :, :1])}))
    words = (
        r"checking a model's adversarial raises no error.* RuntimeError: .*test_suite\.py:\d+, in <lambda>"
    )
    with pytest.raises(LawError, match=words) as caught:
        asked(laws("genzoo-toys"))["mine-adversarial"]()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_check_model_asks_the_same(kinds, card_of):
    with pytest.raises(LawError, match="raises no error"):
        genzoo.testing.check_model(
            card_of(type("Broken", (kinds.game,), {"_discriminate": lambda self, x: 1 / 0}))
        )
