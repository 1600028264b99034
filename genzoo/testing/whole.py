"""All laws that apply to a card, each on a small build of its model."""

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
    StagedModel,
    TranslatingModel,
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
from genzoo.testing.staged import check_staged
from genzoo.testing.translating import check_translating

SMALL = 8  # whole numbers of a config are reduced to this, if the model accepts it
SIDES = (8, 16, 32)  # sides of the small images, tried in this order
# a plugin's author can change nothing in these folders
_OURS = (Path(torch.__file__).parent, Path(__file__).parent.parent)


def check_model(card: Card, **config: Any) -> None:
    """Check a card and its model against every law that applies.

    The model is built small (`small_config`). Keywords fix keys of its config, for example
    `image_shape=(1, 8, 8)`.

    Raises:
        LawError: the first law that is broken.
    """
    for law in laws_of(card, **config):
        law()


@dataclass(frozen=True)
class Law:
    """One group of laws of a card. Calling it raises the LawError of the first law that is broken.

    Attributes:
        name: "card", "samples", "latents", "stages", "implicit", "adversarial", "translation", "density",
            "classes", "condition", "game" or "weights".
        check: the function that checks them.
    """

    name: str
    check: Callable[[], object]

    def __call__(self) -> None:
        """Check these laws. Any other exception becomes a LawError too, which names the line."""
        try:
            with undisturbed():
                self.check()
        except LawError:
            raise
        except Exception as error:
            law = f"checking a model's {self.name} raises no error"
            raise LawError(law, describe(error), _place(error)) from error


def laws_of(card: Card, **config: Any) -> Iterator[Law]:
    """Yield every group of laws that applies to `card`, those of the card itself first. Keywords as in
    `check_model`.

    If the class cannot be loaded, only the laws of cards are checked; they say why.
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
    """Check that `model` can be published: saving it twice gives the same bytes, and a model loaded from them
    gives the same outputs.

    Raises:
        LawError: the first law that is broken.
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
    reduced as far as the model accepts.

    Keys in `fixed` stay as given.
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
    """Builds a card's small model for each group of laws, always with the same weights, so that one group
    cannot affect the next.
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
    # allocates nothing: only whether the config is accepted
    with contextlib.suppress(Exception), torch.device("meta"):
        card.replace(config={}).build(**config)
        return True
    return False


def _values(card: Card, config: dict[str, Any]) -> dict[str, Any]:
    """Return every key of the class's Config with its value in `config`, or its default."""
    fields = dataclasses.fields(card.load_class().Config)
    return {field.name: config.get(field.name, field.default) for field in fields}


def _place(error: BaseException) -> str:
    """Return the last line of the author's own code in the traceback of `error`, or the last line of all if
    there is none.
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
    ("stages", StagedModel, check_staged),
    ("implicit", ImplicitModel, check_implicit),
    ("adversarial", AdversarialModel, check_adversarial),
    ("translation", TranslatingModel, check_translating),
    ("density", DensityModel, check_density),
    ("classes", ClassifyingModel, check_classifying),
)
