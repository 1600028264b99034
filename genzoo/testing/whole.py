"""All laws that apply to a card, on a model built small."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import torch

from genzoo.card import Card
from genzoo.errors import GenzooError
from genzoo.models import DensityModel, GenerativeModel, ImplicitModel, LatentModel, Model, golden
from genzoo.models.weights import build_filled, encode
from genzoo.testing.cards import check_card
from genzoo.testing.density import check_density
from genzoo.testing.game import check_game
from genzoo.testing.generative import check_generative, fresh_noise
from genzoo.testing.implicit import check_implicit
from genzoo.testing.latent import check_latent
from genzoo.testing.law import LawError, hold

SMALL = 8  # what whole numbers of a config are brought down to, where the model takes it
SIDES = (8, 16, 32)  # of images, tried in this order


def check_model(card: Card, **config: Any) -> None:
    """Hold a card and the model it names to every law that applies: one line in a plugin's tests.

    The model is built small (`small_config`); keywords fix keys of its config, for example `image_shape=(1, 8, 8)`.

    Raises:
        LawError: the first law that is broken.
    """
    check_card(card)
    small = card.replace(config={**small_config(card, **config)})
    model = _build(small)
    for kind, check in _LAWS:
        if isinstance(model, kind):
            check(model)
    if card.recipe is not None:
        check_game(model, card.recipe)
    check_weights(small, model)


def check_weights(card: Card, model: Model) -> None:
    """Hold that `model` survives being published: the same bytes twice, and from them a model that gives the same outputs.

    Raises:
        LawError: the law that is broken.
    """
    look = f"buffers and names of {type(model).__name__}"
    first = golden.record(model)
    with fresh_noise(1):
        hold(golden.record(model) == first, "golden outputs are the same every time", "other numbers", f"noise in {type(model).__name__}")
    blob = encode(model, card.name, first)
    hold(encode(model, card.name, first) == blob, "saving twice gives the same bytes", "other bytes", look)
    try:
        loaded = build_filled(card, blob, f"the weights of {card.name!r}")
    except Exception as error:
        seen = error.message if isinstance(error, GenzooError) else f"{type(error).__name__}: {error}"
        raise LawError("a model can be loaded from its own weights", seen, look) from error
    law, hidden = "a loaded model gives the outputs of the saved one", f"state of {type(model).__name__} that is no parameter or buffer"
    hold(golden.record(loaded) == first, law, "other numbers", hidden)


def small_config(card: Card, **fixed: Any) -> dict[str, Any]:
    """Return a config that builds a small model of `card`: each whole number and the image's sides are reduced where the model takes it.

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


def _build(card: Card) -> Model:
    with fresh_noise(0):
        try:
            model: Model = card.build()
        except GenzooError as error:
            raise LawError("a card's model can be built", error.message, f"the card {card.name!r} and {card.model}") from error
    return model.eval()


def _builds(card: Card, config: dict[str, Any]) -> bool:
    with contextlib.suppress(Exception), torch.device("meta"):  # no memory, no time: only whether it is allowed
        card.replace(config={}).build(**config)
        return True
    return False


def _values(card: Card, config: dict[str, Any]) -> dict[str, Any]:
    """Return every key of the class's Config with its value in `config`, or its default."""
    fields = dataclasses.fields(card.load_class().Config)
    return {field.name: config.get(field.name, field.default) for field in fields}


_LAWS: tuple[tuple[type[Any], Any], ...] = (
    (GenerativeModel, check_generative),
    (LatentModel, check_latent),
    (ImplicitModel, check_implicit),
    (DensityModel, check_density),
)
