"""Cards: names that every file system can hold, and a build that refuses what contradicts itself."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import subprocess
import sys
import types
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genzoo.card import NAME, Card, Family, check_name, fold
from genzoo.errors import ArgumentError, CardError, UnknownNameError
from genzoo.recipe import Recipe
from genzoo.schema import limits

NAMES = st.from_regex(NAME, fullmatch=True).filter(lambda name: len(name) <= 64)


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    width: int = field(default=8, metadata=limits(1, 512))


class Net:
    """The least that a card may name."""

    Config = NetConfig
    family = Family.IMPLICIT

    def __init__(self, config: NetConfig) -> None:
        if config.width == 13:
            raise ArgumentError("width must not be 13", "take 12")
        self.config = config


class Abstract(Net, ABC):
    @abstractmethod
    def decode(self) -> None: ...


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Make this file's classes importable under a name that a card can hold."""
    made = types.ModuleType("card_test_models")
    made.__dict__.update(Net=Net, Abstract=Abstract, number=3, NoFamily=type("NoFamily", (), {}))
    made.__dict__["Vague"] = type("Vague", (Net,), {"family": None, "explicit": True})
    monkeypatch.setitem(sys.modules, "card_test_models", made)
    return made


def make(**changes: Any) -> Card:
    return Card(**{"name": "net", "family": Family.IMPLICIT, "model": "card_test_models:Net", **changes})


class TestNames:
    @given(NAMES)
    def test_every_matching_name_is_taken_unless_windows_means_a_device(self, name: str) -> None:
        device = re.fullmatch(r"con|prn|aux|nul|(com|lpt)[0-9]", name.split(".")[0])
        if device:
            with pytest.raises(CardError, match="device name"):
                check_name(name)
        else:
            assert check_name(name) is name

    @given(st.text(max_size=80))
    def test_every_other_text_is_refused_in_one_line(self, name: str) -> None:
        if not re.fullmatch(NAME.pattern, name, re.ASCII) or len(name) > 64:
            with pytest.raises(CardError) as caught:
                check_name(name)
            assert str(caught.value).isprintable()

    @pytest.mark.parametrize(
        "name",
        [
            *(
                "",
                "A",
                "a b",
                "a/b",
                "a\\b",
                "..",
                ".a",
                "a.",
                "-a",
                "a-",
                "a--b",
                "a\n",
                "é",
                "a\x00",
                "\uff41",
                "con",
                "aux.net",
                "lpt1",
            ),
            *("a" * 65, None, 3, b"a", ["a"]),
        ],
    )
    def test_refused(self, name: Any) -> None:
        with pytest.raises(CardError, match="name"):
            check_name(name)

    @pytest.mark.parametrize(
        "name", ["a", "0", "dcgan-bedrooms", "a.b_c-d", "console", "com10", "vae2d-mnist", "a" * 64]
    )
    def test_accepted(self, name: str) -> None:
        assert check_name(name) == name

    def test_says_what_kind_of_name(self) -> None:
        with pytest.raises(CardError, match=r"^command 'A'"):
            check_name("A", "command")

    @given(NAMES)
    def test_fold_forgets_signs_and_case_and_nothing_else(self, name: str) -> None:
        assert fold(name) == fold(name.upper()) == fold(re.sub("[-_.]", "_", name)) == fold(fold(name))
        assert re.sub("[^a-z0-9]", "", fold(name)) == re.sub("[^a-z0-9]", "", name)

    def test_fold_keeps_words_apart(self) -> None:
        assert fold("ab") != fold("a-b")
        assert fold("a--_.b") == "a-b"


class TestCard:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"family": "implicit"}, "family must be a genzoo.Family"),
            ({"model": "no_colon"}, "model must read 'package.module:Class'"),
            ({"model": "a:b:c"}, "model must read"),
            ({"model": "a:B\n"}, "model must read"),
            ({"model": "a..b:C"}, "model must read"),
            ({"model": "a:B()"}, "model must read"),
            ({"model": None}, "model must read"),
            ({"config": [1]}, "config must be a mapping"),
            ({"config": {1: 2}}, "config must be a mapping"),
            ({"recipe": {"steps": 3}}, "recipe must be a genzoo.Recipe"),
            ({"summary": None}, "summary must be a text"),
            ({"paper": b"x"}, "paper must be a text"),
            ({"name": "Net"}, "must match"),
        ],
    )
    def test_refused_when_made(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(CardError, match=message):
            make(**changes)

    def test_defaults(self) -> None:
        card = make()
        assert (dict(card.config), card.recipe, card.summary, card.paper, card.plugin, card.has_weights) == (
            {},
            None,
            "",
            "",
            "",
            False,
        )

    def test_keywords_only(self) -> None:
        with pytest.raises(TypeError):
            Card("net", Family.IMPLICIT, "a:B")  # type: ignore[misc]

    def test_frozen_and_apart_from_the_authors_mapping(self) -> None:
        config = {"width": 4}
        card = make(config=config)
        config["width"] = 5
        assert card.config["width"] == 4
        with pytest.raises(TypeError):
            card.config["width"] = 6  # type: ignore[index]
        with pytest.raises(dataclasses.FrozenInstanceError):
            card.name = "other"  # type: ignore[misc]

    def test_replace_checks_again(self) -> None:
        assert make().replace(plugin="p").plugin == "p"
        with pytest.raises(CardError):
            make().replace(name="Bad")

    def test_copies_and_pickles(self) -> None:
        card = make(config={"width": 4}, recipe=Recipe(steps=3), plugin="p", has_weights=True)
        for copied in (copy.copy(card), copy.deepcopy(card), pickle.loads(pickle.dumps(card))):
            assert copied == card
            with pytest.raises(TypeError):
                copied.config["width"] = 6
            with pytest.raises(TypeError):
                copied.recipe.lr["all"] = 6.0

    @pytest.mark.parametrize(
        ("key", "table"), [("lr", {"all": 1e-3}), ("turns", {"critic": 5}), ("optimizer", {"all": "sgd"})]
    )
    def test_the_tables_of_a_recipe_are_read_only_copies(self, key: str, table: dict[str, Any]) -> None:
        given = dict(table)
        recipe = Recipe(steps=3, **{key: given})
        given["critic"] = 9
        again = pickle.loads(pickle.dumps(recipe))
        copies = (again, copy.copy(recipe), copy.deepcopy(recipe), recipe.replace(steps=4))
        for one in (recipe, Recipe(), *copies):
            with pytest.raises(TypeError):
                getattr(one, key)["critic"] = 9
        assert recipe == again == copy.deepcopy(recipe) == recipe.replace(steps=3)
        assert dict(getattr(recipe, key)) == dict(getattr(recipe.replace(steps=4), key)) == table

    def test_a_table_of_a_recipe_must_be_one(self) -> None:
        with pytest.raises(ArgumentError, match=r"a recipe's lr must be a table of player = value, not 0\.1"):
            Recipe(lr=0.1)  # type: ignore[arg-type]

    def test_families_have_words(self) -> None:
        of_the_zoo = [family.value for family in Family if not family.is_instrument]
        assert of_the_zoo == ["tractable", "approximate", "implicit", "autoencoder"]
        assert [family.value for family in Family if family.is_instrument] == ["classifier"]
        assert len({family.words for family in Family}) == 5


class TestBuild:
    def test_config_of_the_card_and_overrides(self) -> None:
        card = make(config={"width": 4})
        assert card.build().config.width == 4
        assert card.build(width=5).config.width == 5
        assert make().build().config.width == 8

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            ("card_no_such_module:Net", "cannot be imported: ModuleNotFoundError"),
            ("card_test_models:Missing", "cannot be imported: AttributeError"),
            ("card_test_models:number", "is not a subclass of genzoo.models.Model"),
            ("card_test_models:NoFamily", "is not a subclass of genzoo.models.Model"),
        ],
    )
    def test_class_that_cannot_be_had(self, model: str, message: str) -> None:
        with pytest.raises(CardError, match=message):
            make(model=model).build()

    def test_the_plugin_to_reinstall_is_named(self) -> None:
        with pytest.raises(CardError, match="reinstall the plugin their-plugin"):
            make(model="card_no_such_module:Net", plugin="their-plugin").load_class()

    def test_family_must_agree(self) -> None:
        with pytest.raises(
            CardError, match="says family 'tractable', but card_test_models:Net is 'implicit'"
        ):
            make(family=Family.TRACTABLE).build()

    def test_forgotten_method_is_named(self) -> None:
        with pytest.raises(CardError, match="does not define decode"):
            make(model="card_test_models:Abstract").build()

    def test_a_density_that_does_not_say_whether_it_is_exact(self) -> None:
        with pytest.raises(
            CardError,
            match="card_test_models:Vague cannot be built: it does not define exact — exact = True where",
        ):
            make(model="card_test_models:Vague").build()

    def test_unknown_key(self) -> None:
        with pytest.raises(
            UnknownNameError, match="config of net: unknown key 'widht'; did you mean 'width'"
        ):
            make().build(widht=4)

    @pytest.mark.parametrize("width", [0, 513, True, 1.5, "8", None, 10**12])
    def test_value_out_of_range(self, width: Any) -> None:
        with pytest.raises(ArgumentError, match="config of net: width"):
            make().build(width=width)

    def test_what_the_class_refuses_says_whose_config_it_is(self) -> None:
        with pytest.raises(ArgumentError, match="config of net: width must not be 13 — take 12"):
            make(config={"width": 13}).build()


class TestReprs:
    def test_a_card_in_short(self) -> None:
        assert repr(make(has_weights=True)) == "<Card net: implicit, weights>"
        assert repr(make()) == "<Card net: implicit, no weights>"
        longest = make(name="n" * 64, family=max(Family, key=lambda family: len(family.value)))
        assert len(repr(longest)) < 100

    def test_a_card_is_a_table_in_a_notebook(self) -> None:
        page = make(summary="A net", config={"width": 8, "depth": 2}, has_weights=True)._repr_html_()
        assert page.startswith("<table class=") and page.endswith("</table>")
        for key, value in {
            "Name": "net",
            "Family": "implicit: implicit density, samples only",
            "Summary": "A net",
            "Config": "width=8, depth=2",
            "Weights": "published",
        }.items():
            assert f"<tr><th>{key}</th><td>{value}</td></tr>" in page
        assert "Paper" not in page and "Plugin" not in page

    def test_nothing_in_a_strangers_card_becomes_markup(self) -> None:
        text = '<script src="//x"></script>\x1b[31m\u202e\x00&amp;'
        card = make(summary=text, paper=text, plugin=text, config={text: text, "odd": object()})
        page = card._repr_html_()
        assert page.isprintable() and "<script" not in page and "style" not in page
        assert page.count("&lt;script src=&quot;//x&quot;&gt;&lt;/script&gt;") == 5
        assert "&amp;amp;" in page

    def test_a_notebook_needs_no_torch(self) -> None:
        code = (
            "import sys; from genzoo import Card, Family\n"
            "card = Card(name='net', family=Family.IMPLICIT, model='absent:Net')\n"
            "card._repr_html_(), sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
