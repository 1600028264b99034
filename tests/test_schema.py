"""The checker of everything written by hand: right values pass unchanged, every other value is refused in one
line (rule R4)."""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genzoo.errors import ArgumentError, GenzooError, UnknownNameError
from genzoo.recipe import Recipe
from genzoo.schema import check_value, limits, literal, parse

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@dataclass(frozen=True, kw_only=True)
class Knobs:
    size: int = field(metadata=limits(1, 100))
    rate: float = field(default=0.5, metadata=limits(0, 1))
    mode: str = field(default="fast", metadata=limits(choices=("fast", "slow")))
    on: bool = False
    shape: tuple[int, int, int] = field(default=(1, 2, 3), metadata=limits(1, 64))
    rates: Mapping[str, float] = field(default_factory=dict, metadata=limits(0, 1))
    note: str | None = None
    old: Optional[int] = None  # noqa: UP045 - plugins may still write it
    weight: float | None = None
    anything: Any = None
    derived: int = field(default=7, init=False)


ENDS = st.sampled_from([math.nan, math.inf, -math.inf, 0, 0.0, 1, 1.0, 100, 101, -1, 10**400, "fast", "loud"])


class TestParse:
    @pytest.mark.parametrize("key", [f.name for f in dataclasses.fields(Knobs) if f.init])
    @given(value=ENDS | st.integers() | st.floats() | JUNK)
    def test_no_value_is_taken_without_its_check(self, key: str, value: Any) -> None:
        rules = {f.name: f.metadata for f in dataclasses.fields(Knobs)}[key]
        try:
            right = check_value(value, get_type_hints(Knobs)[key], rules, f"knobs: {key}")
        except GenzooError as error:
            with pytest.raises(GenzooError) as raised:
                parse(Knobs, {"size": 1, key: value}, "knobs")
            assert str(raised.value) == str(error)
        else:
            found = getattr(parse(Knobs, {"size": 1, key: value}, "knobs"), key)
            assert type(found) is type(right)
            assert repr(found) == repr(right)

    def test_all_right(self) -> None:
        values = {
            "size": 3,
            "rate": 1,
            "mode": "slow",
            "on": True,
            "shape": [3, 4, 5],
            "rates": {"d": 0.1},
            "note": None,
            "old": 4,
        }
        knobs = parse(Knobs, values, "knobs")
        assert knobs == Knobs(
            size=3, rate=1.0, mode="slow", on=True, shape=(3, 4, 5), rates={"d": 0.1}, old=4
        )
        assert isinstance(knobs.rate, float)
        assert isinstance(knobs.shape, tuple)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({}, "knobs: the key 'size' is missing"),
            ({"size": 0}, "knobs: size must lie between 1 and 100, not 0"),
            ({"size": 101}, "knobs: size must lie between 1 and 100, not 101"),
            ({"size": 2.0}, "knobs: size must be a whole number, not 2.0"),
            ({"size": True}, "knobs: size must be a whole number, not True"),
            ({"size": "3"}, "knobs: size must be a whole number, not '3'"),
            ({"size": None}, "knobs: size must be a whole number, not None"),
            ({"size": 10**5000}, "knobs: size must lie between 1 and 100, not <int that cannot be shown>"),
            ({"size": 1, "rate": math.nan}, "knobs: rate must be a finite number, not nan"),
            ({"size": 1, "rate": math.inf}, "knobs: rate must be a finite number, not inf"),
            ({"size": 1, "rate": 10**400}, "knobs: rate must be a finite number, not inf"),
            ({"size": 1, "rate": True}, "knobs: rate must be a number, not True"),
            ({"size": 1, "rate": -1}, "knobs: rate must lie between 0 and 1, not -1.0"),
            (
                {"size": 1, "mode": "fsat"},
                "knobs: mode must be one of fast, slow, not 'fsat'; did you mean 'fast'?",
            ),
            ({"size": 1, "on": 1}, "knobs: on must be true or false, not 1"),
            ({"size": 1, "shape": [1, 2]}, "knobs: shape must have 3 items, not 2: [1, 2]"),
            ({"size": 1, "shape": 3}, "knobs: shape must be a list, not 3"),
            ({"size": 1, "shape": "abc"}, "knobs: shape must be a list, not 'abc'"),
            ({"size": 1, "shape": [1, 2, 65]}, "knobs: shape must lie between 1 and 64, not 65"),
            ({"size": 1, "rates": 3}, "knobs: rates must be a table of key = value, not 3"),
            ({"size": 1, "rates": {"d": 2}}, "knobs: rates.d must lie between 0 and 1, not 2.0"),
            ({"size": 1, "note": 3}, "knobs: note must be a text, not 3"),
        ],
    )
    def test_wrong_values(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(ArgumentError) as caught:
            parse(Knobs, values, "knobs")
        assert caught.value.message == message

    @pytest.mark.parametrize(
        ("key", "near"),
        [("siez", "; did you mean 'size'?"), ("zzzz", ""), ("derived", ""), ("__class__", "")],
    )
    def test_unknown_keys(self, key: str, near: str) -> None:
        with pytest.raises(UnknownNameError) as caught:
            parse(Knobs, {"size": 1, key: 1}, "knobs")
        assert caught.value.message == f"knobs: unknown key {key!r}{near}"
        assert caught.value.hint.startswith("known keys: size, rate, mode")

    @given(
        st.dictionaries(
            st.sampled_from(["size", "rate", "mode", "on", "shape", "rates", "note", "old", "derived"])
            | st.text(max_size=6),
            JUNK,
        )
    )
    def test_anything_at_all_is_right_or_refused_in_one_line(self, values: dict[str, Any]) -> None:
        try:
            knobs = parse(Knobs, values, "knobs")
        except GenzooError as error:
            assert str(error).isprintable()
            assert str(error).startswith("knobs: ")
        else:
            assert 1 <= knobs.size <= 100
            assert 0 <= knobs.rate <= 1
            assert len(knobs.shape) == 3
            assert all(0 <= rate <= 1 for rate in knobs.rates.values())

    def test_the_mapping_is_not_kept(self) -> None:
        rates = {"d": 0.1}
        knobs = parse(Knobs, {"size": 1, "rates": rates}, "knobs")
        rates["d"] = 5.0
        assert knobs.rates == {"d": 0.1}


class TestCheckValue:
    @pytest.mark.parametrize(
        ("value", "kind", "rules", "result"),
        [
            ((1, "a"), tuple[int, str], {}, (1, "a")),
            ([1, 2, 3], tuple[int, ...], {}, (1, 2, 3)),
            ([], tuple[int, ...], {}, ()),
            (["a", "b"], tuple[str, ...], limits(choices=("a", "b")), ("a", "b")),
            ([[1, 2], [3, 4]], tuple[tuple[int, int], ...], {}, ((1, 2), (3, 4))),
            ("a", int | str, {}, "a"),
            (1, int | str, {}, 1),
            (None, int | str | None, {}, None),
            ({"a": [1]}, dict, {}, {"a": [1]}),
            ({"a": 1}, dict[str, int], {}, {"a": 1}),
            (2, float, {}, 2.0),
            (object, object, {}, object),
        ],
    )
    def test_accepted(self, value: Any, kind: Any, rules: dict[str, Any], result: Any) -> None:
        assert check_value(value, kind, rules, "x") == result

    @pytest.mark.parametrize(
        ("value", "kind", "rules"),
        [
            ((1, 2), tuple[int, str], {}),
            (("a", "b", "c"), tuple[str, ...], limits(size=2)),
            (["c"], tuple[str, ...], limits(choices=("a", "b"))),
            (1.5, int | str, {}),
            (None, int | str, {}),
            ({"a": "b"}, dict[str, int], {}),
            (-1, int, limits(low=0)),
            (11, int, limits(high=10)),
        ],
    )
    def test_refused(self, value: Any, kind: Any, rules: dict[str, Any]) -> None:
        with pytest.raises(ArgumentError, match=r"^x"):
            check_value(value, kind, rules, "x")

    @given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-50, 50))
    def test_ranges_include_their_ends(self, value: int, low: int, high: int) -> None:
        if low <= value <= high:
            assert check_value(value, int, limits(low, high), "x") == value
        else:
            with pytest.raises(ArgumentError, match="must lie between"):
                check_value(value, int, limits(low, high), "x")

    def test_an_open_end_reads_as_infinite(self) -> None:
        with pytest.raises(ArgumentError, match="between 0 and ∞, not -1"):
            check_value(-1, int, limits(low=0), "x")


class TestLiteral:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1", 1),
            ("-1", -1),
            ("1e-4", 1e-4),
            ("1_000", 1000),
            ("true", True),
            ("False", False),
            ("[1, 2]", [1, 2]),
            ("(1,)", (1,)),
            ("'3'", "3"),
            ("fast", "fast"),
            ("64x40", "64x40"),
            ("1or 2", "1or 2"),
            ("None", "None"),
            ("{'a': 1}", "{'a': 1}"),
            ("1j", "1j"),
            ("", ""),
            ("(", "("),
            ("a\0b", "a\0b"),
            ("__import__('os')", "__import__('os')"),
            ("[" * 100_000, "[" * 100_000),
            ("9" * 5000, "9" * 5000),
        ],
    )
    def test_examples(self, text: str, value: Any) -> None:
        assert literal(text) == value
        assert type(literal(text)) is type(value)

    @given(st.text(max_size=40))
    def test_any_text_gives_a_plain_value(self, text: str) -> None:
        assert isinstance(literal(text), (bool, int, float, list, tuple, str))

    @given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.integers()))
    def test_what_python_writes_is_read_back(self, value: Any) -> None:
        assert literal(repr(value)) == ast.literal_eval(repr(value)) == value


class TestRecipe:
    def test_the_defaults_obey_their_own_rules(self) -> None:
        assert parse(Recipe, vars(Recipe()), "recipe") == Recipe()

    def test_per_player(self) -> None:
        recipe = Recipe(lr={"all": 1e-3, "generator": 1e-4}, turns={"critic": 5})
        assert (recipe.lr_of("generator"), recipe.lr_of("critic")) == (1e-4, 1e-3)
        assert (recipe.turns_of("critic"), recipe.turns_of("generator")) == (5, 1)
        assert Recipe(lr={"generator": 1e-4}).lr_of("critic") == 2e-4

    def test_replace(self) -> None:
        assert Recipe().replace(steps=3).steps == 3

    @pytest.mark.parametrize(
        "values",
        [
            *(
                {"steps": 0},
                {"steps": 1.5},
                {"batch_size": -1},
                {"seed": -1},
                {"seed": 2**63},
                {"val_split": 1},
                {"ema": 1},
                {"flip": "yes"},
            ),
            *({"lr": {"all": -1}}, {"turns": {"d": 0}}, {"betas": [0.5]}, {"betas": [0.5, 1]}),
            {"precision": "fp16"},
        ],
    )
    def test_refused(self, values: dict[str, Any]) -> None:
        with pytest.raises(ArgumentError, match=rf"^recipe: {next(iter(values))}"):
            parse(Recipe, values, "recipe")
