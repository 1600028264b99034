"""The verbs behind the door and the command line. Nothing here imports torch before a model is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo import hub
from genzoo.card import Card
from genzoo.errors import ArgumentError, HubError, LedgerError, UnknownNameError, legible
from genzoo.ledger import Ledger, Row, load_ledgers
from genzoo.registry import installed
from genzoo.request import Progress, Request

if TYPE_CHECKING:
    import torch

    from genzoo.models import Model
    from genzoo.record import Record
    from genzoo.training.outcome import Outcome


def ledger() -> Ledger:
    """Return every row of published weights: the core's zoo.toml, the plugins' and those that GENZOO_ZOO
    names.
    """
    return load_ledgers(plugins=installed().ledgers)


def cards() -> list[Card]:
    """Return the cards of every installed model, official and third-party, in the order of the taxonomy.

    Classifiers are left out, as by `genzoo list`: they measure models and are none. `card(name)` knows them
    too.
    """
    return [card for card in _every_card() if not card.family.is_instrument]


def _every_card() -> list[Card]:
    rows = ledger()
    return [card.replace(has_weights=card.name in rows) for card in installed().cards.values()]


def card(name: str) -> Card:
    """Return the card of `name`.

    Raises:
        UnknownNameError: no installed plugin has it; the message holds the nearest name.
    """
    return installed().find(name).replace(has_weights=name in ledger())


def row(name: str) -> Row:
    """Return the ledger's row of the published weights of `name`.

    Raises:
        UnknownNameError: an unknown name.
        HubError: a model without published weights.
    """
    rows = ledger()
    if not isinstance(name, str) or name not in rows:
        known = card(name)
        if spoilt := next(
            (problem for problem in rows.problems if f"[{name}]" in problem and "left out" in problem), ""
        ):
            raise HubError(
                f"the row of {name!r} cannot be used: {spoilt}", "mend it, or ask who keeps this ledger"
            )
        trained = [c.name for c in _every_card() if c.has_weights and c.model == known.model]
        own = (
            [f"genzoo train {name} makes some, and GENZOO_ZOO=runs/{name} lets them be found"]
            if known.recipe
            else []
        )
        ways = [f"{trained[0]!r} has", *own] if trained else [*own, f"genzoo.create({name!r}) has fresh ones"]
        raise HubError(f"{name!r} has no published weights", "; ".join(ways))
    return rows[name]


def pull(name: str, progress: hub.Progress | None = None) -> Path:
    """Return the path of the verified safetensors file of `name`, fetching it where it is not at hand.

    Raises:
        HubError: no source gave the bytes that the ledger pins.
    """
    return hub.pull(row(name), progress=progress)


def create(name: str, *, seed: int | None = None, **config: Any) -> Model:
    """Return the architecture `name` with fresh weights; keywords replace keys of its config, such as
    `image_shape=(3, 24, 40)`.

    The weights are a function of `seed`; None draws a fresh one. They are float32 on the CPU, and torch's own
    generator is neither read nor changed.

    Raises:
        UnknownNameError, ArgumentError, CardError: a name, key, value or seed that is not right.
    """
    known = card(name)
    from genzoo.models.weights import build_fresh

    return build_fresh(known.replace(config={**known.config, **config}), seed)


def load(name: str, device: torch.device | str | None = None, progress: hub.Progress | None = None) -> Model:
    """Return the model `name` with its published weights, in evaluation mode, on `device` (None: the CPU).

    Raises:
        UnknownNameError, HubError, WeightsError, CardError: one line each, see genzoo.errors.
    """
    known, published = card(name), row(name)
    blob = hub.pull_bytes(published, progress=progress)
    from genzoo.models.weights import build_filled

    model = build_filled(known, blob, f"the weights file of {name!r}")
    if device is None:
        return model
    from genzoo.training.settings import find_device

    return model.to(find_device(device))


def verify(name: str) -> str:
    """Check the digest of the weights of `name` and that this machine draws what the author's machine drew;
    return one line.

    Raises:
        HubError, WeightsError: what differs.
    """
    published = row(name)
    path = hub.verify_digest(published)
    blob = hub.pull_bytes(published)
    from genzoo.models import golden
    from genzoo.models.weights import build_filled, facts_of

    where = str(path)
    agreement = golden.compare(
        build_filled(card(name), blob, where), facts_of(blob, where).get("golden", {}), name
    )
    return f"sha256 {published.sha256[:12]}… is right, {agreement}"


def push(
    name: str,
    dest: str | Path,
    run: str | Path | None = None,
    *,
    licence: str | None = None,
    public: bool = False,
    tell: Callable[[str], object] | None = None,
) -> Row:
    """Publish weights, card and ledger row of `name` to a folder or to `hf:owner/repo`; return the row as it
    can be pulled from there.

    `run` is the folder of a training run; without it the published weights of `name` are passed on. `licence`
    is what their author states of the weights; None leaves what the row says. A repository that is made for
    this is private unless `public`; `tell` is told in one line who can read it.
    """
    known = card(name)
    if run is None:
        published = row(name)
    else:
        rows = load_ledgers(Path(run) / "zoo.toml", extra=())
        if name not in rows:
            if rows.problems:
                raise LedgerError(
                    f"the run in {run} has no row of {name!r} that can be used: {rows.problems[0]}",
                    "mend its zoo.toml",
                )
            raise UnknownNameError(
                f"the run in {run} has no weights of {name!r}", f"it has {', '.join(rows) or 'none'}"
            )
        published = rows[name]
    if licence is not None:
        published = published.replace(licence=legible(licence))
    weights = hub.pull_bytes(published)
    text = hub.model_card(published, known)
    return hub.push(dest, name=name, weights=weights, row=published, card_text=text, public=public, tell=tell)


def train(
    name: str,
    data: Any = None,
    out: str | Path | None = None,
    steps: int | None = None,
    *,
    resume: bool | str = False,
    settings: dict[str, Any] | None = None,
    device: torch.device | str | None = None,
    quiet: bool = False,
    tensorboard: bool = False,
) -> Outcome:
    """Train `name` and write weights, card, scores and samples to `out` (default `runs/NAME`), a folder that
    is itself a hub.

    Args:
        name: a card; its recipe and config are the defaults.
        data: see `genzoo.data.open_data`; None = the recipe's.
        out: the folder of the run; it also holds the checkpoint.
        steps: rounds to play; None = the recipe's.
        resume: go on from the checkpoint in `out`, to bit-identical weights; "auto" starts where there is
            none, goes on where there is one, and is done where the run is finished; "previous" goes on from
            the checkpoint before the last.
        settings: `{"batch": 32, "rate.generator": 1e-4, "width": 32, "image_size": "24x40"}`: keys of the
            recipe or of the config; `licence` is that of the weights, none where it is not stated.
        device: None = a GPU if there is one.
        quiet: no progress on stderr.
        tensorboard: also write TensorBoard events.

    In the main thread Ctrl-C, SIGTERM and what else schedulers send finish the step and save: the outcome is
    not finished then, and its `signal` is the number. A second Ctrl-C raises KeyboardInterrupt.

    Raises:
        TrainingError: the run cannot go on, or could not be published; the message names the step, the last
            good checkpoint and what to try.
        DataError, ArgumentError, UnknownNameError: before anything is trained.
    """
    from genzoo.training.conduct import conduct

    return conduct(
        card(name),
        data,
        out,
        steps,
        resume=resume,
        settings=settings or {},
        device=device,
        quiet=quiet,
        tensorboard=tensorboard,
    )


def evaluate(
    name: str, request: Request | None = None, *, progress: Progress | None = None, **asked: Any
) -> list[Record]:
    """Return the records of the published model `name`: likelihoods, or sample quality beside its floor.

    Args:
        name: a model with published weights.
        request: what is asked, see `genzoo.request.Request`; or give its attributes as keywords:
            `evaluate("vae-mnist", n=500, draws=(1, 50))`.
        progress: told (what, done, total).
        asked: attributes of a request.

    Raises:
        ArgumentError: a value that no measurement can have; no data named, neither here nor in the recipe;
            `draws`, `features` or `metrics` for a model that has none; a split that the data has not, or
            "train" of a model that is measured by its samples; a request and keywords beside it.
    """
    if request is not None and asked:
        raise ArgumentError(
            f"evaluate was given a request and {', '.join(asked)} beside it", "give one or the other"
        )
    wanted = Request(**asked) if request is None else request
    model, known = load(name), card(name)
    from genzoo.evaluation.scoring import records_of
    from genzoo.training.memory import keep_freed_memory

    keep_freed_memory()
    return records_of(model, known, wanted, progress)
