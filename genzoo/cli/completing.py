"""`genzoo complete`: held-out images of which a part is kept and the rest drawn by the model, one image in
each row of the picture.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genzoo.cli.conditions import OF_IMAGES, check_one, condition_option, in_words, of_images
from genzoo.cli.exploring import drawn, loaded, out_option, target
from genzoo.cli.options import (
    command,
    data_option,
    device_option,
    find,
    json_option,
    model_argument,
    seed_option,
    temperature_option,
)
from genzoo.cli.output import Progress, note, say_json, say_table
from genzoo.cli.pictures import check_animation, check_file, check_grid, check_in_order
from genzoo.errors import ArgumentError, safe_text
from genzoo.manner import Manner
from genzoo.names import KEEPS
from genzoo.units import several

if TYPE_CHECKING:
    from torch import Tensor

    from genzoo.explore.completion import Completions

_READABLE = click.Path(exists=True, dir_okay=False)


@command("complete")
@model_argument
@data_option
@click.option("--keep", type=click.Choice(tuple(KEEPS)), help="Half of the image to keep. Default: top.")
@click.option(
    "--mask",
    type=_READABLE,
    metavar="PNG",
    help="Mask to use instead of --keep: white is kept, black or transparent is drawn.",
)
@click.option(
    "-n", "n", type=click.IntRange(min=1), default=6, show_default=True, help="Completions per image."
)
@click.option(
    "--images",
    "rows",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="Number of images, one per row.",
)
@condition_option(OF_IMAGES)
@seed_option
@temperature_option
@out_option("completion")
@click.option("--animate", type=click.Path(), metavar="GIF", help="Also write an animation, pixel by pixel.")
@json_option
@device_option
def complete_command(
    name: str,
    data: str | None,
    keep: str | None,
    mask: str | None,
    n: int,
    rows: int,
    condition: str | None,
    seed: int | None,
    temperature: float | None,
    out: str | None,
    animate: str | None,
    as_json: bool,
    device: str | None,
) -> None:
    """Fill in the missing part of held-out images.

    Each row shows the kept part, the completions and the original image. The log-probabilities of the drawn
    pixels are printed in nats; they are the model's own, also if pixels are drawn at a temperature.
    """
    _check_part(keep, mask)
    entry = find(name)
    card = entry.card
    # By the card, before torch is loaded: only the family matters here.
    check_in_order(card, "generates whole images and cannot complete one")
    check_grid(rows * (n + 2))
    condition = check_one(entry, condition, needed=False)
    path = target(out, card, "completion")
    film = _film(animate, rows * (n + 2))
    start = drawn(seed)
    model = loaded(entry, device)
    from genzoo.evaluation.scoring import some_images
    from genzoo.explore.completion import completions

    kept, words = _kept(model, keep or "top", mask)
    images, chosen = some_images(model, card, data, rows, start)
    given = of_images(model, chosen, condition)
    with Progress(card.name, "pixels") as progress:
        told = {"condition": given, "temperature": temperature}
        done = completions(model, images, kept, n, start, progress, **told)
    _save(done, path, film)
    count = f"{several(len(images), 'image')} of {chosen.name} {chosen.split}"
    each = f"{several(n, 'completion')} each by {card.name}{in_words(model, condition)}"
    note(safe_text(f"{path}: {count}, {words} kept, {each}, seed {start}{_cold(temperature)}", 1000))
    _certify(model, card.name)
    tell(done, as_json, temperature)


def _cold(temperature: float | None) -> str:
    return "" if temperature is None else f", {Manner(temperature=temperature).words}"


def _certify(model: Any, name: str) -> None:
    """Check that the model's numbers are likelihoods: others are not printed."""
    from genzoo.evaluation import certificate_of

    with Progress(name, "laws") as progress:
        certificate_of(model, progress)


def _check_part(keep: str | None, mask: str | None) -> None:
    if keep and mask:
        raise click.UsageError(
            "--keep and --mask exclude each other: give one of them", click.get_current_context()
        )


def _save(done: Completions, path: Path, film: Path | None) -> None:
    from genzoo.images import save_animation, save_grid

    columns = done.rows.shape[1]
    save_grid(done.rows.flatten(0, 1), path, columns=columns)
    if film is not None:
        save_animation((frame.flatten(0, 1) for frame in done.frames()), film, columns=columns)


def _film(animate: str | None, count: int) -> Path | None:
    """Return the path of the animation of `count` images, if one is wanted, checked before any work."""
    if animate is None:
        return None
    check_animation(count)
    return check_file(animate, "GIF")


def _kept(model: Any, keep: str, mask: str | None) -> tuple[Tensor, str]:
    """Return which pixels are kept, and in words."""
    from genzoo.explore.completion import keep_mask, read_mask

    if mask is None:
        return keep_mask(keep, *model.image_shape[1:]), f"the {keep} half"
    kept = read_mask(mask, *model.image_shape[1:])
    if kept.all():
        raise ArgumentError(
            f"the mask {mask} keeps every pixel: there is nothing to draw",
            "make some pixels black or transparent",
        )
    if not kept.any():
        raise ArgumentError(
            f"the mask {mask} keeps no pixel: there is nothing to complete",
            "make some pixels white; to generate whole images: genzoo sample",
        )
    return kept, f"the white or opaque {int(kept.sum()):,} of {kept.numel():,} pixels"


def tell(done: Completions, as_json: bool, temperature: float | None = None) -> None:
    """Print log-probabilities, a line for each row of the picture: of what was drawn, and of what stands
    there in the image itself.
    """
    if as_json:
        say_json([_facts(done, row) | {"temperature": temperature} for row in range(len(done.images))])
        return
    given = "given the kept pixels" if done.conditional else "each pixel given all earlier ones"
    note(f"log p of the drawn pixels in nats, {given}; last column: the original image")
    header = ["ROW", *(str(number + 1) for number in range(done.drawn.shape[1])), "ORIGINAL"]
    say_table(
        header,
        [
            [number, *(f"{value:.1f}" for value in row)]
            for number, row in enumerate(done.log_prob_drawn.tolist(), 1)
        ],
    )


def _facts(done: Completions, row: int) -> dict[str, Any]:
    """Return what JSON says of a row of the picture; nats, null where a probability is zero."""
    whole, drawn = (
        # JSON has no infinity.
        [value if math.isfinite(value) else None for value in side[row].tolist()]
        for side in (done.log_prob, done.log_prob_drawn)
    )
    both = [{"log_prob": a, "log_prob_drawn": b} for a, b in zip(whole, drawn, strict=True)]
    return {
        "row": row + 1,
        "unit": "nats",
        "pixels_kept": int(done.mask.sum()),
        "pixels_drawn": int((~done.mask).sum()),
        "conditional": done.conditional,
        "completions": both[:-1],
        "image": both[-1],
    }
