"""Import: a state dict of another program becomes a run folder of ours.

The layout is found by shapes (`genzoo.models.foreign`), the model is built and filled, compared with given
images, and published with its golden outputs in a folder of its own. Before that last step nothing is
written.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from genzoo import hub
from genzoo.card import Card
from genzoo.confined.reading import Checkpoint, read_checkpoint
from genzoo.errors import ArgumentError, StorageError, WeightsError, legible, safe_text, suggest
from genzoo.files import sha256_of
from genzoo.images import grid, png
from genzoo.ledger import Row
from genzoo.models import GenerativeModel, Layout, Model, golden, layouts
from genzoo.models.foreign import Foreign, fitted, unwrapped
from genzoo.models.panel import panel
from genzoo.models.weights import build_fresh, encode
from genzoo.porting.checking import Check, compare
from genzoo.training.plan import pair
from genzoo.zoo import find

SEED = 0  # of the initial weights of a net that no file holds
FLAT = 1e-3  # standard deviation of the pixels of samples, below which nothing can be seen on them


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What `import_weights` returns.

    Attributes:
        folder: the run: weights, card, `zoo.toml`, `samples.png`.
        row: its ledger row.
        config: the config that was found by shapes, and what was set.
        notes: what a person should know, one line each.
        check: how the images agree with those that were given, None without such.
    """

    folder: Path
    row: Row
    config: Mapping[str, Any]
    notes: tuple[str, ...]
    check: Check | None


def import_weights(
    files: str | Path | Sequence[str | Path],
    name: str,
    out: str | Path,
    *,
    key: str = "",
    settings: Mapping[str, Any] | None = None,
    check: str | Path | None = None,
    licence: str = "",
) -> Imported:
    """Import state dicts as weights of the model `name`, into the new folder `out`.

    Args:
        files: one file, or several that belong together, such as netG.pth and netD.pth.
        name: the card whose class has this layout; its config gives way to what the shapes say.
        out: a folder that is empty or missing. `GENZOO_ZOO=out` makes genzoo find the model.
        key: the name under which the weights are in the file, where it holds several nets.
        settings: keys of the config that a state dict does not show, such as `{"activation": "relu"}`;
            `image_size` and `channels` as in training.
        check: an .npz file with `z` (N, latent_size) and the `images` (N, C, H, W) that the original net made
            of them in evaluation mode.
        licence: that of the weights, none where it is not stated.

    Raises:
        UnknownNameError: an unknown model or setting.
        StorageError: a file that cannot be read, or a folder that is not empty.
        WeightsError: a file that is no state dict, does not fit, or gives other images than `check`.
    """
    card = find(name).card
    folder = _empty(Path(out).expanduser())
    paths = [files] if isinstance(files, (str, Path)) else list(files)
    checkpoints = [read_checkpoint(path) for path in paths]
    where = " and ".join(safe_text(checkpoint.path.name, 100) for checkpoint in checkpoints)
    found = Foreign(where, tuple(_under(checkpoint, key) for checkpoint in checkpoints))
    model, layout, missing = _build(card, found, _sizes(settings or {}))
    agreement = None if check is None else compare(model, Path(check))
    notes = (*_untrained(where, missing), *layout.notes)
    blob = encode(model, card.name, golden.record(model))
    picture, told = _picture(model)
    row = Row(
        name=card.name,
        plugin=legible(card.plugin),
        sha256=sha256_of(blob),
        bytes=len(blob),
        sources=(f"folder:{card.name}.safetensors",),
        licence=legible(licence),
        data="not known: these weights were imported",
        trained=legible("; ".join([_origin(checkpoints), *_untrained(where, missing), *_checked(agreement)])),
    )
    text = hub.model_card(row, hub.as_stated(card, blob))
    final = hub.push(folder, name=card.name, weights=blob, row=row, card_text=text, files=picture)
    return Imported(folder=folder, row=final, config=layout.config, notes=(*notes, *told), check=agreement)


def _empty(folder: Path) -> Path:
    """Return `folder` if nothing is in it, before anything is read."""
    if os.path.isdir(folder) and os.listdir(folder):
        raise StorageError(f"{folder} is not empty", "name another folder with --out")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise StorageError(f"{folder} is a file, not a folder", "name a folder with --out")
    return folder


def _sizes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` with `image_size` and `channels` as an `image_shape`."""
    stated = dict(settings)
    size, channels = stated.pop("image_size", None), stated.pop("channels", 1)
    if size is not None:
        stated["image_shape"] = (channels, *pair(size))
    elif "channels" in settings:
        raise ArgumentError(
            "channels alone says no image size", "add it: --set image_size=HEIGHTxWIDTH, such as 32x32"
        )
    return stated


def _under(checkpoint: Checkpoint, key: str) -> Mapping[str, Tensor]:
    """Return the tensors whose names begin with `key`, without it; all where it is empty."""
    if not key:
        return checkpoint.tensors
    for named in (checkpoint.tensors, unwrapped(checkpoint.tensors)):
        inner = {
            name.removeprefix(f"{key}."): value for name, value in named.items() if name.startswith(f"{key}.")
        }
        if inner:
            return inner
    heads = list(dict.fromkeys(name.partition(".")[0] for name in unwrapped(checkpoint.tensors)))
    shown = safe_text(", ".join(heads[:8]), 200)
    raise WeightsError(
        f"{checkpoint.path} has nothing under {key!r}{suggest(key, heads)}", f"its names begin with {shown}"
    )


def _build(card: Card, found: Foreign, settings: dict[str, Any]) -> tuple[Model, Layout, list[str]]:
    """Return the filled model, how it was found, and the parts that no file holds."""
    layout, reading = Layout({}, {}), layouts.of(card.load_class())
    if reading is not None and not _is_own(card, found):
        layout = reading(found, settings)
        model = _with(card, {**layout.config, **settings})
        return model, _stated(layout, settings), _fill(model, layout, found)
    model = _with(card, settings)
    own = found.named_as(model.state_dict())
    if own is None:
        raise WeightsError(
            f"{found.where} does not have the names of {card.name}'s tensors; it has {found.words}",
            f"{card.name} takes its own state dicts only"
            if reading is None
            else "see genzoo info NAME --net",
        )
    _check_shapes(own, model, found.where)
    model.load_state_dict(own)
    return model.eval(), _stated(layout, settings), []


def _is_own(card: Card, found: Foreign) -> bool:
    """Return whether the names are those of the card's own class, as it is configured there."""
    return found.named_as(card.build().state_dict()) is not None


def _with(card: Card, config: Mapping[str, Any]) -> Model:
    changed = card.replace(config={**card.config, **config})
    return build_fresh(changed, SEED).eval()


def _stated(layout: Layout, settings: Mapping[str, Any]) -> Layout:
    return Layout({**layout.config, **settings}, layout.parts, layout.notes)


def _fill(model: Model, layout: Layout, found: Foreign) -> list[str]:
    """Fill the parts of `model` and return those of its nets that the files do not hold."""
    for part, layers in layout.parts.items():
        net = model.get_submodule(part)
        net.load_state_dict(fitted(net, layers, f"{found.where}, {part}"), strict=True)
    held = [name for name, net in model.named_children() if _has_weights(net)]
    return [name for name in held if name not in layout.parts]


def _has_weights(net: nn.Module) -> bool:
    return any(True for _ in net.parameters())


def _check_shapes(own: Mapping[str, Tensor], model: Model, where: str) -> None:
    for name, expected in model.state_dict().items():
        if own[name].shape != expected.shape:
            raise WeightsError(
                f"{where}: {safe_text(name, 100)} has the shape {tuple(own[name].shape)}, where the "
                f"model has {tuple(expected.shape)}",
                "give the config of these weights: --set KEY=VALUE",
            )


def _untrained(where: str, missing: Sequence[str]) -> list[str]:
    return [f"the {part} is not in {where}: it has initial weights, seed {SEED}" for part in missing]


def _origin(checkpoints: Sequence[Checkpoint]) -> str:
    sources = (f"{file.path.name} ({file.bytes:,} bytes, sha256 {file.sha256})" for file in checkpoints)
    return f"imported from {' and '.join(sources)}"


def _checked(agreement: Check | None) -> list[str]:
    return [] if agreement is None else [agreement.words]


def _picture(model: Model) -> tuple[dict[str, bytes], list[str]]:
    """Return samples as a PNG, and what is wrong with them at a glance."""
    if not isinstance(model, GenerativeModel):
        return {}, []
    images, columns = panel(model, 16)
    spread = float(images.std())
    flat = [] if spread > FLAT or math.isnan(spread) else ["its samples are all one colour: see samples.png"]
    return {"samples.png": png(grid(images, columns))}, flat
