"""The verbs behind the door and the command line. Nothing here imports torch before a model is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo import hub, places
from genzoo.card import Card, Family
from genzoo.catalogue import Entry, catalogue, matching
from genzoo.errors import ArgumentError, LedgerError, UnknownNameError, legible, safe_repr, suggest
from genzoo.ledger import Row, load_ledgers
from genzoo.places import Target
from genzoo.request import Progress, Request

if TYPE_CHECKING:
    import torch

    from genzoo.models import Model
    from genzoo.record import Records
    from genzoo.training.publish import Outcome


def cards() -> list[Card]:
    """Return the cards of every installed model, official and third-party, in the order of the taxonomy.

    Classifiers are left out, as by `genzoo list`: they measure models and are none. `info(name)` knows them
    too.
    """
    return [card for card, _ in catalogue().values() if not card.family.is_instrument]


def list_models(pattern: str = "*", *, family: Family | str | None = None) -> list[str]:
    """Return the names of the installed models that fit `pattern`, such as `"*mnist*"`, in the order of
    `cards()`; with `family` only those of it, and only so classifiers.

    Raises:
        ArgumentError: the pattern is not a text, or there is no such family.
    """
    found = catalogue()
    if family is None:
        chosen = {name: entry for name, entry in found.items() if not entry.card.family.is_instrument}
    else:
        wanted = _family(family)
        chosen = {name: entry for name, entry in found.items() if entry.card.family is wanted}
    return matching(pattern, chosen)


def _family(family: Family | str) -> Family:
    try:
        return Family(family)
    except ValueError:
        known = [member.value for member in Family]
        raise ArgumentError(
            f"family must be one of {', '.join(known)}, not {safe_repr(family)}{suggest(str(family), known)}"
        ) from None


def info(name: Target) -> Card:
    """Return the card of `name`: family, config, recipe, paper, and whether it has published weights.

    `name` may also be the folder of a run, a file of weights, or `hf:owner/repo`, see `load`.

    Raises:
        UnknownNameError: no installed plugin has it; the message holds the nearest name.
    """
    return find(name).card


def find(name: Target, sha256: str = "") -> Entry:
    """Return the entry of `name`, which may be a place, see `genzoo.places.find`; an entry is its own."""
    return places.find(name, sha256)


def row(name: Target, sha256: str = "") -> Row:
    """Return the ledger's row of the published weights of `name`, whether its plugin is installed or not.

    Raises:
        UnknownNameError: an unknown name.
        HubError: a model without published weights; see also `genzoo.places.find`.
    """
    if places.is_place(name):
        return places.row_at(name, sha256)  # type: ignore[arg-type]
    found = catalogue()
    pinned = found.row_of(name) if isinstance(name, Entry) else found.published(name)  # type: ignore[arg-type]
    places.check_pin(pinned, sha256, pinned.name)
    return pinned


def pull(name: Target, progress: hub.Progress | None = None, *, sha256: str = "") -> Path:
    """Return the path of the verified safetensors file of `name`, fetching it where it is not at hand; `name`
    and `sha256` as in `load`.

    Raises:
        HubError: no source gave the bytes that the ledger pins.
    """
    return hub.pull(row(name, sha256), progress=progress)


def create(name: Target, *, seed: int | None = None, **config: Any) -> Model:
    """Return the architecture `name` with fresh weights; keywords replace keys of its config, such as
    `image_shape=(3, 24, 40)`.

    The weights are a function of `seed`; None draws a fresh one. They are float32 on the CPU, and torch's own
    generator is neither read nor changed.

    Raises:
        UnknownNameError, ArgumentError, CardError: a name, key, value or seed that is not right.
    """
    known = find(name).card
    from genzoo.models.weights import build_fresh

    return build_fresh(known.replace(config={**known.config, **config}), seed)


def load(
    name: Target,
    device: torch.device | str | None = None,
    progress: hub.Progress | None = None,
    *,
    sha256: str = "",
) -> Model:
    """Return the model `name` with its weights, in evaluation mode, on `device` (None: the CPU).

    Args:
        name: a name of the zoo; the folder of a run ("runs/mine") or the `Outcome` of `train`; a file of
            weights ("model.safetensors"); or "hf:owner/repo", at a commit with "@REVISION". `#NAME` behind a
            folder or a repository chooses one of several models. The plugin of the model must be installed.
        device: None: the CPU.
        progress: called with (bytes so far, bytes in all) while something is fetched.
        sha256: digest of the weights, 64 hexadecimal digits, if you want to pin it yourself. Otherwise it is
            the one in the ledger of the zoo, the folder or the repository; a file that no ledger names, and a
            branch, are pinned when they are first used.

    Raises:
        UnknownNameError, HubError, WeightsError, CardError: one line each, see genzoo.errors.
    """
    entry = find(name, sha256)
    blob = hub.pull_bytes(row(entry), progress=progress)
    from genzoo.models.weights import build_filled

    model = build_filled(entry.card, blob, f"the weights file of {entry.card.name!r}")
    if device is None:
        return model
    from genzoo.training.hardware import find_device

    return model.to(find_device(device))


def verify(name: Target, sha256: str = "") -> str:
    """Check the digest of the weights of `name` and that this machine draws what the author's machine drew;
    return one line.

    Raises:
        HubError, WeightsError: what differs.
    """
    entry = find(name, sha256)
    published = row(entry)
    path = _checked(published) if places.is_place(name) else hub.verify_digest(published)
    blob = hub.pull_bytes(published)
    from genzoo.models import golden
    from genzoo.models.weights import build_filled

    where = str(path)
    model = build_filled(entry.card, blob, where)
    agreement = golden.compare(model, hub.facts_of(blob, where).get("golden", {}), published.name)
    return f"sha256 {published.sha256[:12]}… is right, {agreement}"


def _checked(row: Row) -> Path:
    """Return where the weights of a place are on this machine, checked; those of a repository must have been
    pulled.
    """
    return hub.verify_digest(row) if places.is_remote(row) else hub.pull(row, offline=True)


def push(
    name: Target,
    dest: str | Path,
    run: str | Path | None = None,
    *,
    licence: str | None = None,
    public: bool = False,
    tell: Callable[[str], object] | None = None,
) -> Row:
    """Publish weights, card and ledger row of `name` to a folder or to `hf:owner/repo`; return the row as it
    can be pulled from there.

    `name` may be the folder of a run: `push("runs/mine", "hf:owner/repo")`. The published weights of a name
    are passed on; with `run`, the folder of a run, its weights of this name are published instead. `licence`
    is what their author states of the weights; None leaves what the row says. A repository that is made for
    this is private unless `public`; `tell` is called with one line that says who can read it.
    """
    entry = find(name)
    published = row(entry) if run is None else _row_of_run(entry.card.name, Path(run))
    if licence is not None:
        published = published.replace(licence=legible(licence))
    weights = hub.pull_bytes(published)
    text = hub.model_card(published, hub.as_stated(entry.card, weights), place=str(dest))
    # a folder may hold several models, a repository of the Hub should hold one
    files = {"config.json": hub.config_json(published, hub.configured(entry.card, weights))}
    return hub.push(
        dest,
        name=published.name,
        weights=weights,
        row=published,
        card_text=text,
        files=files if str(dest).startswith("hf:") else {},
        public=public,
        tell=tell,
    )


def _row_of_run(name: str, run: Path) -> Row:
    rows = load_ledgers(run / "zoo.toml", extra=())
    if name in rows:
        return rows[name]
    if rows.problems:
        raise LedgerError(
            f"the run in {run} has no row of {name!r} that can be used: {rows.problems[0]}",
            "fix its zoo.toml",
        )
    raise UnknownNameError(
        f"the run in {run} has no weights of {name!r}", f"it has {', '.join(rows) or 'none'}"
    )


def train(
    name: Target,
    data: Any = None,
    out: str | Path | None = None,
    steps: int | None = None,
    *,
    init_from: Target | None = None,
    resume: bool | str = False,
    settings: dict[str, Any] | None = None,
    device: torch.device | str | None = None,
    quiet: bool = False,
    callbacks: Sequence[Any] = (),
    track: str | Sequence[str] = (),
) -> Outcome:
    """Train `name` and write weights, card, scores and samples to `out` (default `runs/NAME`), a folder that
    is itself a hub.

    Args:
        name: a card; its recipe and config are the defaults.
        data: see `genzoo.data.open_data`, a torch Dataset or DataLoader among others; None = the recipe's.
        out: the folder of the run; it also holds the checkpoint.
        steps: rounds to play; None = the recipe's.
        init_from: weights to start from instead of random ones: a name, a run, a file or a repository, as in
            `load`. What fits by name and shape is taken, the rest starts at random and is reported. The
            config of the same class is taken too, unless `settings` say otherwise.
        resume: continue from the checkpoint in `out`, to bit-identical weights; "auto" starts if there is
            none, continues if there is one, and does nothing if the run is finished; "previous" continues
            from the checkpoint before the last. False does as "auto" for the same recipe, steps and data, and
            refuses the folder of any other run.
        settings: `{"batch_size": 32, "lr.generator": 1e-4, "width": 32, "image_size": "24x40"}`: keys of the
            recipe or of the config; `licence` is that of the weights, none where it is not stated.
        device: None = a GPU if there is one.
        quiet: no progress on stderr.
        callbacks: objects with some of `on_round`, `on_finding`, `on_checkpoint` and `on_end`, see
            `genzoo.training.Callback`; an exception in one ends the run with a checkpoint.
        track: "tensorboard", "wandb", "trackio", "mlflow" or a plugin's tracker, one or several: what the run
            reports is kept there too. One that fails is reported, and the run continues without it.

    In the main thread Ctrl-C, SIGTERM and what else schedulers send finish the step and save: the outcome is
    not finished then, and its `signal` is the number. A second Ctrl-C raises KeyboardInterrupt.

    Raises:
        TrainingError: the run cannot go on, or could not be published; the message names the step, the last
            good checkpoint and what to try.
        DataError, ArgumentError, UnknownNameError: before anything is trained. A tracker whose package is not
            installed is a TrainingError, also before.
    """
    from genzoo.training.train import train as carry_out

    return carry_out(
        find(name).card,
        data,
        out,
        steps,
        init_from=init_from,
        resume=resume,
        settings=settings or {},
        device=device,
        quiet=quiet,
        callbacks=callbacks,
        track=track,
    )


def evaluate(
    name: Target,
    request: Request | None = None,
    *,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    **asked: Any,
) -> Records:
    """Return the records of the published model `name`: likelihoods, or sample quality beside its floor.

    The list is an ordinary one that a notebook shows as a table.

    Args:
        name: a model with published weights, or a place of your own weights as in `load`.
        request: the request, see `genzoo.request.Request`; or give its attributes as keywords:
            `evaluate("vae-mnist", n=500, draws=(1, 50))`.
        device: what the model computes on: "cpu", "cuda", "mps", or "auto", a GPU if there is one. None: the
            CPU. The records state it. Sets of images are compared on the CPU in any case.
        progress: called with (what, done, total).
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
    entry = find(name)
    from genzoo.evaluation.scoring import on_device, records_of
    from genzoo.record import Records
    from genzoo.training.memory import keep_freed_memory

    keep_freed_memory()
    model = load(entry, device)
    found = on_device(records_of(model, entry.card, wanted, progress), model)
    return Records(places.relabelled(found, name, entry.card))
