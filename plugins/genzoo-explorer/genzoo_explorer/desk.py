"""Where requests are taken: by name, with the model they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from genzoo.errors import UnknownNameError
from genzoo_explorer import latent, pixel
from genzoo_explorer.ask import Ask
from genzoo_explorer.facts import facts_of
from genzoo_explorer.shelf import Shelf
from genzoo_explorer.thumbnails import thumbnail
from genzoo_explorer.worker import Job, Work

Action = Callable[[Any, Ask, Job], Iterator[None] | None]


def opened(model: Any, ask: Ask, job: Job) -> None:
    """Send what can be done with a model."""
    job.tell({"facts": facts_of(model)})


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "open": opened,
        "latents": latent.latents,
        "decode": latent.decode,
        "directions": latent.directions,
        "walk": latent.walk,
        "sums": latent.sums,
        "encode": latent.encode,
        "invert": latent.invert,
        "sample": latent.sample,
        "translate": latent.translate,
        "draw": pixel.draw,
        "log_prob": pixel.log_prob,
        "conditional": pixel.conditional,
        "context": pixel.context,
        "complete": pixel.complete,
    }
)
THUMBNAIL = "thumbnail"  # the one request that leaves the models in memory as they are
KEPT = ("directions", "context")  # slow, and the same each time


def work_of(shelf: Shelf, name: str, values: Mapping[str, Any]) -> Work:
    """Return the work that answers the request `name`.

    Raises:
        UnknownNameError: there is no such request.
        ArgumentError: it names no model.
    """
    if name not in ACTIONS and name != THUMBNAIL:
        raise UnknownNameError("there is no such request")
    ask = Ask(values)
    key = ask.text("model")

    def work(job: Job) -> Iterator[None] | None:
        if name == THUMBNAIL:
            thumbnail(shelf, key, job)
            return None
        model = shelf.model(key)
        job.check()
        if name not in KEPT:
            return ACTIONS[name](model, ask, job)
        what = (name, ask.condition(), values.get("row"), values.get("column"))
        kept = shelf.remembered(key, *what)
        if kept is None:
            kept = shelf.remember(_answer(ACTIONS[name], model, ask, job), key, *what)
        job.tell(*kept)
        return None

    return work


def _answer(action: Action, model: Any, ask: Ask, job: Job) -> tuple[dict[str, Any], bytes]:
    """Return the one answer of `action`, instead of sending it."""
    found: list[tuple[dict[str, Any], bytes]] = []
    alone = Job(job.client, lambda _: None, lambda facts, values: found.append((facts, values)))
    action(model, ask, alone)
    alone.flush()
    return found[0]
