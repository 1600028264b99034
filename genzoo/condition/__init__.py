"""Conditions: what a model is given besides z or a seed, the c of p(x | c).

A card states its condition, so that it can be listed without torch; the class that the card names is checked
against it.

base.py     Condition, what every kind has
labels.py   Labels: one of a fixed list of names
picture.py  Picture: a picture of one domain, which the model translates into another
text.py     Text: a few words of a fixed vocabulary
"""

from genzoo.condition.base import SHOWN, Condition
from genzoo.condition.labels import LONGEST_LABEL, MOST_LABELS, Labels
from genzoo.condition.picture import Picture
from genzoo.condition.text import Text, split

__all__ = ["LONGEST_LABEL", "MOST_LABELS", "SHOWN", "Condition", "Labels", "Picture", "Text", "split"]
