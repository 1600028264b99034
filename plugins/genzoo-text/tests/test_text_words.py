"""The words that the card knows are those of the captions; nothing about it needs torch."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from genzoo_text import CARDS
from genzoo_text.words import COLOURS, LENGTH, NEUTRAL, SENTENCES, flower_text

from genzoo import Text
from genzoo.condition.text import split
from genzoo.data import flowers
from genzoo.datasets import NAMES, UNSEEN
from genzoo.errors import ArgumentError, UnknownNameError

(CARD,) = CARDS
FLOWERS = NAMES["flowers102"].classes


def captions():
    """Return every caption that a flower can have."""
    every = (flowers.templates(colour, name) for colour, name in itertools.product(flowers.COLOURS, FLOWERS))
    return list(itertools.chain.from_iterable(every))


def test_the_vocabulary_is_that_of_the_captions():
    told = Text.of_captions(captions())
    assert CARD.condition == flower_text() and set(told.vocabulary) == set(CARD.condition.vocabulary)
    assert told.length <= LENGTH and flowers.COLOURS[1:] == COLOURS


def test_neutral_words_are_those_of_the_templates_that_say_nothing():
    words = {word for text in flowers.templates("red", "rose") for word in split(text)}
    words |= {word for text in flowers.templates("orange", "iris") for word in split(text)}
    assert words - {"red", "rose", "orange", "iris"} == set(NEUTRAL)
    # or they would be missing where two names are compared
    assert not {word for name in FLOWERS for word in split(name)} & (set(NEUTRAL) - {"flower", "of"})


def test_names_differ_without_the_neutral_words():
    names = [frozenset(split(name)) - set(NEUTRAL) for name in FLOWERS]
    assert all(names) and len(set(names)) == len(names)


def test_sentences_ask_for_seen_and_unseen_flowers():
    asked = {flowers.templates(colour, name)[0] for colour, name in UNSEEN}
    assert 0 < len(asked & set(SENTENCES)) < len(SENTENCES)
    assert set(SENTENCES) <= set(captions())


def test_every_caption_and_sentence_can_be_read():
    for text in {*captions(), *SENTENCES, "A Red ROSE!", "colt’s foot"}:
        assert any(CARD.condition.encode(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no word in an empty text"),
        (" \n", "no word in an empty text"),
        ("12 !", "no word in"),
        ("rose " * 10_000, "10,000 words is too long — this model takes a text of up to 12 words"),
        ("x" * 200_000, "200,000 characters is too long"),
    ],
)
def test_texts_that_are_none(text, words):
    with pytest.raises(ArgumentError, match=words):
        CARD.condition.encode(text)


def test_unknown_words_are_named_with_the_nearest_known():
    with pytest.raises(UnknownNameError, match=r"'yelow' \(did you mean 'yellow'.*'dafodil'.*'daffodil'"):
        CARD.condition.encode("a yelow dafodil")


def test_importing_the_plugin_leaves_torch_out():
    code = "import sys, genzoo_text; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
