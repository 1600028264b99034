"""The models of a server: what the catalogue says of each, and the few that are in memory."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any

import genzoo
from genzoo import Card
from genzoo.datasets import NAMES
from genzoo.errors import UnknownNameError, safe_text
from genzoo.runs import is_finished, is_run
from genzoo_explorer import limits

OWN = "place"  # what pages call the model of the folder or file that the command line named


def legend_of(card: Card) -> list[dict[str, str]]:
    """Return the names and the colours (RGB in hex) of the maps that a model was trained on; none if its data
    set has no legend.
    """
    known = NAMES.get(card.recipe.data) if card.recipe is not None else None
    return [{"name": name, "colour": colour} for name, colour in (known.legend if known else {}).items()]


class Shelf:
    """Finds models by the names of the catalogue; the one place of the command line has the key `OWN`.

    A client names a key, never a place: what is not in the catalogue does not exist for it.
    """

    def __init__(self, target: str = "") -> None:
        self.run = target if target and is_run(target) else ""
        known = {card.name: card for card in genzoo.cards()}
        self._cards: dict[str, Card] = known
        self._place = ""
        if target and target not in known and (not self.run or is_finished(target)):
            self._cards = {OWN: genzoo.info(target), **known}
            self._place = target
        self.first = OWN if self._place else target if target in known else ""
        self._loaded: OrderedDict[str, Any] = OrderedDict()
        self._memory: dict[tuple[Any, ...], Any] = {}
        self.thumbnails: dict[str, Any] = {}  # key -> the one image of `thumbnails.thumbnail`, or None

    def catalogue(self) -> list[dict[str, Any]]:
        """Return what a page shows of every model, without torch."""
        return [self._entry(key, card) for key, card in self._cards.items()]

    def _entry(self, key: str, card: Card) -> dict[str, Any]:
        shape = card.config.get("image_shape")
        place = safe_text(os.path.abspath(self._place), 300) if key == OWN else ""
        return {
            "key": key,
            "name": card.name,
            "place": place,
            "target": safe_text(self._place, 300) if key == OWN else card.name,
            "family": card.family.value,
            "summary": safe_text(card.summary, 300),
            "paper": safe_text(card.paper, 300),
            "plugin": safe_text(card.plugin, 80),
            "takes": safe_text(card.condition.brief, 80) if card.condition else "",
            "weights": bool(card.has_weights),
            "legend": legend_of(card),
            "shape": list(shape) if isinstance(shape, (tuple, list)) else [],
        }

    def card(self, key: str) -> Card:
        """Return the card of a key, or raise UnknownNameError."""
        if key not in self._cards:
            raise UnknownNameError(f"there is no model {key!r} here", "genzoo list shows every name")
        return self._cards[key]

    def model(self, key: str) -> Any:
        """Return the model, from memory if it is one of the last few; a card without weights gives one with
        random weights, a function of seed 0.
        """
        self.card(key)
        if key in self._loaded:
            self._loaded.move_to_end(key)
            return self._loaded[key]
        while len(self._loaded) >= limits.LOADED:  # before the next is loaded, so that no more are held
            gone, _ = self._loaded.popitem(last=False)
            self._memory = {known: value for known, value in self._memory.items() if known[0] != gone}
        self._loaded[key] = self.lent(key)
        return self._loaded[key]

    def lent(self, key: str) -> Any:
        """Return the model, as `model` does, for one use: it displaces no other from memory."""
        if key in self._loaded:
            return self._loaded[key]
        if self.card(key).has_weights:
            return genzoo.load(self._place if key == OWN else key)
        return genzoo.create(key, seed=0).eval()

    def remembered(self, key: str, *what: Any) -> Any:
        """Return what was kept for the model `key`, or None."""
        name = (key, *what)
        return self._memory.get(name)

    def remember(self, value: Any, key: str, *what: Any) -> Any:
        """Keep `value` while the model `key` is in memory, and return it; the oldest of a thousand leaves."""
        if len(self._memory) >= 1_000:
            self._memory.pop(next(iter(self._memory)))
        name = (key, *what)
        self._memory[name] = value
        return value
