"""The words of the template captions of `flowers102`, without torch.

A caption is a template of `genzoo.data.flowers.templates`, filled with a class name and a measured colour.
"""

from __future__ import annotations

from genzoo import Text
from genzoo.condition import split
from genzoo.datasets import NAMES

COLOURS = ("white", "pink", "red", "orange", "yellow", "blue", "purple")
NEUTRAL = ("a", "an", "flower", "of", "petals", "photograph", "with")  # words that describe every flower
LENGTH = 12  # words; the longest caption has 9
SENTENCES = (
    "a yellow daffodil",
    "a red rose",
    "a purple passion flower",
    "a white water lily",
    "an orange tiger lily",
    "a pink hibiscus",
    "a blue flower",
    "a flower with yellow petals",
)


def flower_text() -> Text:
    """Return the condition whose vocabulary is that of all captions of `flowers102`."""
    names = (word for name in NAMES["flowers102"].classes for word in split(name))
    return Text(tuple(sorted({*names, *COLOURS, *NEUTRAL})), LENGTH, SENTENCES)
