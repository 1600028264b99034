from dataclasses import dataclass, field

import pytest

from genzoo import Card, Family
from genzoo.schema import limits
from genzoo.testing import LawError, check_card


def test_an_honest_card_passes(kinds, card_of):
    for cls in (kinds.game, kinds.pixels, kinds.bound, kinds.coder):
        check_card(card_of(cls))


def refused(card, words):
    with pytest.raises(LawError, match=words):
        check_card(card)


def test_what_is_no_card_is_refused():
    refused("dcgan", "a str")


def test_an_empty_summary_is_refused(kinds, card_of):
    refused(card_of(kinds.game, summary=" "), "empty summary")


def test_another_family_is_refused(kinds, card_of):
    refused(card_of(kinds.game, family=Family.TRACTABLE), "family 'tractable', but .* is 'implicit'")


def test_a_class_that_is_not_there_is_refused(kinds, card_of):
    refused(card_of(kinds.game).replace(model="a_plugin_of_the_tests:Absent"), "cannot be imported")


def test_a_forgotten_method_is_named(kinds, card_of):
    class Forgetful(kinds.game):
        pass

    Forgetful.__abstractmethods__ = frozenset({"_discriminate"})
    refused(card_of(Forgetful), "_discriminate")


def test_a_config_that_the_class_refuses_is_refused(kinds, card_of):
    refused(card_of(kinds.game, config={"latent_sise": 3}), "latent_size")


def with_config(base, config):
    return type("Mine", (base,), {"Config": config})


def test_a_config_that_can_be_changed_is_refused(kinds, card_of):
    @dataclass(kw_only=True)
    class Loose:
        image_shape: tuple[int, int, int] = field(default=(1, 4, 4), metadata=limits(1, 64))

    refused(card_of(with_config(kinds.game, Loose)), "frozen")


def test_a_config_without_an_image_shape_is_refused(kinds, card_of):
    @dataclass(frozen=True, kw_only=True)
    class Shapeless:
        latent_size: int = field(default=3, metadata=limits(1, 64))

    refused(card_of(with_config(kinds.game, Shapeless)), "image_shape")


def test_a_number_without_limits_is_refused(kinds, card_of):
    @dataclass(frozen=True, kw_only=True)
    class Endless:
        image_shape: tuple[int, int, int] = field(default=(1, 4, 4), metadata=limits(1, 64))
        width: int | None = None

    refused(card_of(with_config(kinds.game, Endless)), "width may be anything")


def test_a_positional_field_is_refused(kinds, card_of):
    @dataclass(frozen=True)
    class Positional:
        image_shape: tuple[int, int, int] = field(default=(1, 4, 4), metadata=limits(1, 64))

    refused(card_of(with_config(kinds.game, Positional)), "image_shape is positional")


def test_a_plugin_that_imports_torch_at_its_top_is_refused(tmp_path, monkeypatch):
    (tmp_path / "heavy_plugin_of_the_tests.py").write_text("import torch\n")
    monkeypatch.syspath_prepend(tmp_path)
    card = Card(name="mine", family=Family.IMPLICIT, model="heavy_plugin_of_the_tests:Mine", summary="heavy")
    refused(card, "import heavy_plugin_of_the_tests brings torch")
