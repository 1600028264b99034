"""All laws that apply to a card, each on a model built small."""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from genzoo.card import Card
from genzoo.errors import GenzooError
from genzoo.isolation import describe
from genzoo.models import (
    AdversarialModel,
    ClassifyingModel,
    DensityModel,
    GenerativeModel,
    ImplicitModel,
    LatentModel,
    Model,
    golden,
)
from genzoo.models.weights import build_filled, encode
from genzoo.process import undisturbed
from genzoo.testing.adversarial import check_adversarial
from genzoo.testing.cards import check_card
from genzoo.testing.classifying import check_classifying
from genzoo.testing.conditional import check_conditional
from genzoo.testing.density import check_density
from genzoo.testing.game import check_game
from genzoo.testing.generative import check_generative, fresh_noise
from genzoo.testing.implicit import check_implicit
from genzoo.testing.latent import check_latent
from genzoo.testing.law import LawError, hold

SMALL = 8  # what whole numbers of a config are brought down to, where the model takes it
SIDES = (8, 16, 32)  # of images, tried in this order
_OURS = (
    Path(torch.__file__).parent,
    Path(__file__).parent.parent,
)  # where an author has nothing to where for


def check_model(card: Card, **config: Any) -> None:
    """Hold a card and the model it names to every law that applies.

    The model is built small (`small_config`); keywords fix keys of its config, for example `image_shape=(1,
    8, 8)`.

    Raises:
        LawError: the first law that is broken.
    """
    for law in laws_of(card, **config):
        law()


@dataclass(frozen=True)
class Law:
    """One group of laws that a card can be held to: call it, and it raises the LawError of the first that is
    broken.

    Attributes:
        name: "card", "samples", "latents", "implicit", "adversarial", "density", "classes", "condition",
            "game" or "weights".
        check: the laws themselves.
    """

    name: str
    check: Callable[[], object]

    def __call__(self) -> None:
        """Hold the card to these laws; whatever else goes wrong on the way is a LawError too, which names the
        line.
        """
        try:
            with undisturbed():
                self.check()
        except LawError:
            raise
        except Exception as error:
            law = f"a model can be asked about its {self.name} without an error"
            raise LawError(law, describe(error), _place(error)) from error


def laws_of(card: Card, **config: Any) -> Iterator[Law]:
    """Yield every group of laws that applies to `card`, its own first; keywords are those of `check_model`.

    A card whose class cannot be loaded is held to the laws of cards alone, which say why.
    """
    yield Law("card", partial(check_card, card))
    try:
        found = card.load_class()
    except GenzooError:
        return
    build = _Builds(card, config)
    for name, kind, check in _KINDS:
        if issubclass(found, kind):
            yield Law(name, lambda check=check: check(build()))  # type: ignore[misc]
    if found.condition_type is not None:
        yield Law("condition", lambda: check_conditional(build()))
    if card.recipe is not None:
        yield Law("game", lambda: check_game(build(), card.recipe))
    yield Law("weights", lambda: check_weights(build.small, build()))


def check_weights(card: Card, model: Model) -> None:
    """Hold that `model` survives being published: the same bytes twice, and from them a model that gives the
    same outputs.

    Raises:
        LawError: the law that is broken.
    """
    where = f"buffers and names of {type(model).__name__}"
    first = golden.record(model)
    with fresh_noise(1):
        hold(
            golden.record(model) == first,
            "golden outputs are the same every time",
            "other numbers",
            f"noise in {type(model).__name__}",
        )
    blob = encode(model, card.name, first)
    hold(encode(model, card.name, first) == blob, "saving twice gives the same bytes", "other bytes", where)
    try:
        loaded = build_filled(card, blob, f"the weights of {card.name!r}")
    except Exception as error:
        seen = error.message if isinstance(error, GenzooError) else f"{type(error).__name__}: {error}"
        raise LawError("a model can be loaded from its own weights", seen, where) from error
    law = "a loaded model gives the outputs of the saved one"
    hidden = f"state of {type(model).__name__} that is no parameter or buffer"
    hold(golden.record(loaded) == first, law, "other numbers", hidden)


def small_config(card: Card, **fixed: Any) -> dict[str, Any]:
    """Return a config that builds a small model of `card`: each whole number and the image's sides are
    reduced where the model takes it.

    Keys in `fixed` are kept as they are.
    """
    config = {**card.config, **fixed}
    channels = _values(card, config)["image_shape"][0]
    tried: list[tuple[str, Any]] = [("image_shape", (channels, side, side)) for side in SIDES]
    for key, value in _values(card, config).items():
        if isinstance(value, int) and not isinstance(value, bool) and value > SMALL:
            tried.append((key, SMALL))
    settled = set(fixed)
    for key, value in tried:
        if key not in settled and _builds(card, {**config, key: value}):
            config[key] = value
            settled.add(key)
    return config


@dataclass
class _Builds:
    """Builds a card's small model anew for each group of laws, always with the same weights: a broken law
    leaves no trace in the next.
    """

    card: Card
    config: dict[str, Any]
    _small: list[Card] = field(default_factory=list)

    @property
    def small(self) -> Card:
        if not self._small:
            self._small.append(self.card.replace(config=small_config(self.card, **self.config)))
        return self._small[0]

    def __call__(self) -> Model:
        with fresh_noise(0):
            try:
                model: Model = self.small.build()
            except GenzooError as error:
                seen, where = error.message, f"the card {self.card.name!r} and {self.card.model}"
                raise LawError("a card's model can be built", seen, where) from error
        return model.eval()


def _builds(card: Card, config: dict[str, Any]) -> bool:
    # no memory, no time: only whether it is allowed
    with contextlib.suppress(Exception), torch.device("meta"):
        card.replace(config={}).build(**config)
        return True
    return False


def _values(card: Card, config: dict[str, Any]) -> dict[str, Any]:
    """Return every key of the class's Config with its value in `config`, or its default."""
    fields = dataclasses.fields(card.load_class().Config)
    return {field.name: config.get(field.name, field.default) for field in fields}


def _place(error: BaseException) -> str:
    """Return the last line of the author's own code that `error` came through, or of any where there is
    none.
    """
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame for frame in frames if not any(folder in Path(frame.filename).parents for folder in _OURS)
    ]
    frame = (theirs or frames)[-1]
    return f"{frame.filename}:{frame.lineno}, in {frame.name}"


_KINDS: tuple[tuple[str, type[Any], Any], ...] = (
    ("samples", GenerativeModel, check_generative),
    ("latents", LatentModel, check_latent),
    ("implicit", ImplicitModel, check_implicit),
    ("adversarial", AdversarialModel, check_adversarial),
    ("density", DensityModel, check_density),
    ("classes", ClassifyingModel, check_classifying),
)
