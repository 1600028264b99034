"""Errors: one printable line, whatever came from outside, and never an error about the error (rule R6)."""

from __future__ import annotations

import copy
import pickle
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genzoo import errors
from genzoo.errors import (
    ArgumentError,
    GenzooError,
    HubError,
    NoDensityError,
    UnknownNameError,
    WeightsError,
    safe_repr,
    safe_text,
    suggest,
)
from genzoo.synonyms import SYNONYMS, meant

EVERY = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, GenzooError)]
HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b[]0;m\x07\x9b\x9d\u202e\u200b\u2066\u2028\n\r\t\x85\ufeff\u00ad"),
    ),
    max_size=300,
)


class Mean:
    """An object that fails when it is looked at."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class TestSafeText:
    @given(HOSTILE)
    def test_one_printable_line_and_nothing_that_steers_a_terminal(self, text: str) -> None:
        safe = safe_text(text)
        assert len(safe) <= 500
        assert len(safe.splitlines()) <= 1
        assert safe.isprintable()
        assert not {unicodedata.category(char) for char in safe} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}

    @given(HOSTILE)
    def test_twice_is_once(self, text: str) -> None:
        assert safe_text(safe_text(text)) == safe_text(text)

    @given(HOSTILE, st.integers(1, 40))
    def test_limit(self, text: str, limit: int) -> None:
        assert len(safe_text(text, limit)) <= limit

    @pytest.mark.parametrize(
        "text", ["dcgan-bedrooms", "“Größe” ≤ 3 — naïve 日本語 λ²", "a  b", "price: 5 €"]
    )
    def test_honest_text_is_left_alone(self, text: str) -> None:
        assert safe_text(text) == text

    @pytest.mark.parametrize(
        ("text", "safe"),
        [
            ("\x1b[31mred\x1b[0m", "\ufffdred\ufffd"),
            ("\x1b]0;owned\x07title", "\ufffdtitle"),
            ("\x1b]8;;http://x\x1b\\link", "\ufffdlink"),
            ("\x1b]0;never closed", "\ufffd"),
            ("\x9b31mred", "\ufffd31mred"),
            ("\x1bcreset", "\ufffdcreset"),
            ("a\nb\r\nc\td", "a b  c d"),
            ("a\u2028b", "a\ufffdb"),
            ("a\xa0b\u3000c", "a b c"),
            ("gpj\u202egnp.exe", "gpj\ufffdgnp.exe"),
            ("zero\u200bwidth", "zero\ufffdwidth"),
            ("\x00nul\x08\x7f", "\ufffdnul\ufffd\ufffd"),
            ("tag\U000e0041", "tag\ufffd"),
            ("half \ud800", "half \ufffd"),
            ("pictures of b\udcfccher", "pictures of b\\xfccher"),
            ("  spaces \n", "spaces"),
        ],
    )
    def test_examples(self, text: str, safe: str) -> None:
        assert safe_text(text) == safe

    def test_long_text_is_cut_and_says_so(self) -> None:
        assert safe_text("x" * 501) == "x" * 499 + "…"
        assert safe_text("x" * 500) == "x" * 500

    def test_an_escape_across_the_cut_leaks_nothing(self) -> None:
        for pad in range(1990, 2005):
            assert "\x1b" not in safe_text(" " * pad + "\x1b[31mred")

    def test_a_huge_text_costs_nothing(self) -> None:
        text, start = "\x1b[31m" * 2_000_000, time.process_time()
        safe_text(text)
        assert time.process_time() - start < 0.2

    @pytest.mark.parametrize("value", [10**5000, Mean()], ids=["number", "object"])
    def test_what_cannot_be_shown_is_named_by_its_type(self, value: Any) -> None:
        assert safe_text(value) == safe_repr(value) == f"<{type(value).__name__} that cannot be shown>"

    def test_repr_of_the_ordinary(self) -> None:
        assert safe_repr("a\n") == "'a\\n'"
        assert safe_repr(3) == "3"


class TestSuggest:
    known = ("dcgan", "dcgan-bedrooms", "Wgan-GP")

    @pytest.mark.parametrize(
        ("word", "near"), [("dcgna", "dcgan"), ("DCGAN-bedroom", "dcgan-bedrooms"), ("wgan-gp", "Wgan-GP")]
    )
    def test_nearest(self, word: str, near: str) -> None:
        assert suggest(word, self.known) == f"; did you mean {near!r}?"

    @pytest.mark.parametrize(
        ("word", "near"),
        [
            ("cyclegan", "cyclegan-horse2zebra"),
            ("CycleGAN", "cyclegan-horse2zebra"),
            ("wga", "Wgan-GP"),
            ("dcga", "dcgan"),  # the nearest of those that start with it
            ("dcgan-", "dcgan-bedrooms"),
            ("cy", ""),  # too short to mean a longer name
        ],
    )
    def test_a_name_that_starts_with_the_word_comes_first(self, word: str, near: str) -> None:
        said = suggest(word, (*self.known, "cyclegan-horse2zebra"))
        assert said == (f"; did you mean {near!r}?" if near else "")

    @pytest.mark.parametrize("word", ["", "xyz", "日本", "0" * 1000])
    def test_nothing_near(self, word: str) -> None:
        assert suggest(word, self.known) == ""

    def test_nothing_known(self) -> None:
        assert suggest("dcgan", ()) == ""

    @given(HOSTILE, st.lists(HOSTILE, max_size=4))
    def test_any_text(self, word: str, known: list[str]) -> None:
        suggest(word, known)

    def test_a_huge_word_is_answered_at_once(self) -> None:
        start = time.process_time()
        suggest("dcgan" * 2_000_000, self.known)
        assert time.process_time() - start < 0.5


class TestErrors:
    @given(cls=st.sampled_from(EVERY), message=HOSTILE, hint=HOSTILE)
    def test_every_error_is_one_safe_line(self, cls: type[GenzooError], message: str, hint: str) -> None:
        error = cls(message, hint)
        assert str(error) == (f"{error.message} — {error.hint}" if error.hint else error.message)
        assert len(str(error).splitlines()) <= 1
        assert str(error).isprintable()

    @pytest.mark.parametrize("cls", EVERY)
    def test_every_error_survives_pickling_and_copying(self, cls: type[GenzooError]) -> None:
        error = cls("what happened", "what to type")
        for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(copied) is cls
            assert (copied.message, copied.hint, str(copied)) == (
                "what happened",
                "what to type",
                "what happened — what to type",
            )

    @pytest.mark.parametrize("cls", EVERY)
    def test_every_error_is_documented(self, cls: type[GenzooError]) -> None:
        assert cls.__doc__
        assert cls.__name__.endswith("Error")

    @pytest.mark.parametrize(
        ("cls", "base"),
        [
            (UnknownNameError, KeyError),
            (ArgumentError, ValueError),
            (NoDensityError, TypeError),
            (WeightsError, HubError),
        ],
    )
    def test_errors_are_what_python_would_raise(self, cls: type[GenzooError], base: type[Exception]) -> None:
        assert issubclass(cls, base)

    def test_a_key_error_is_not_shown_in_quotes(self) -> None:
        assert str(UnknownNameError("no model is called 'x'")) == "no model is called 'x'"

    def test_without_a_hint(self) -> None:
        assert str(GenzooError("only this")) == "only this"


class TestSynonyms:
    """Who comes from another library types its words, and is answered with ours."""

    KEYS = ("lr", "lr.PLAYER", "batch_size", "betas", "latent_size", "turns.PLAYER", "steps", "width")

    @pytest.mark.parametrize(
        ("word", "name"),
        [
            ("learning_rate", "lr"),
            ("learning-rate", "lr"),
            ("--Learning_Rate", "lr"),
            ("batch", "batch_size"),
            ("n_critic", "turns.discriminator"),
            ("beta1", "betas"),
            ("nz", "latent_size"),
            ("epochs", "steps"),
            ("d_lr", "lr.discriminator"),
        ],
    )
    def test_keys(self, word, name):
        assert suggest(word, self.KEYS) == f"; did you mean {name!r}?"

    def test_only_what_is_known_there(self):
        assert meant("n_critic", ("lr", "steps")) == "" and meant("generate", self.KEYS) == ""
        assert meant("generate", ("sample", "train")) == "sample"

    def test_the_nearest_spelling_is_still_found(self):
        assert suggest("bathc_size", self.KEYS) == "; did you mean 'batch_size'?"
        assert suggest("xyzzy", self.KEYS) == ""

    def test_words_are_written_as_they_are_looked_up(self):
        assert all(word == word.casefold() and "-" not in word for word in SYNONYMS)
