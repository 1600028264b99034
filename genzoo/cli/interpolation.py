"""`genzoo interpolate`: walks through the latent space, one in each row of the picture."""

from __future__ import annotations

from typing import Any

import click

from genzoo.card import Card
from genzoo.cli.conditions import check_one, condition_option, in_words
from genzoo.cli.exploring import drawn, loaded, out_option, target
from genzoo.cli.options import command, device_option, find, model_argument, seed_option
from genzoo.cli.output import note
from genzoo.cli.pictures import check_grid, check_samples
from genzoo.condition import Labels
from genzoo.errors import ArgumentError, safe_text
from genzoo.units import several

WALKS = 8
_FILE = click.Path(exists=True, dir_okay=False)


@command("interpolate")
@model_argument
@click.option(
    "-n", "n", type=click.IntRange(min=1), help=f"Number of walks, one per row.  [default: {WALKS}]"
)
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    default=9,
    show_default=True,
    help="Images per walk, including both ends.",
)
@click.option(
    "--from", "first", type=_FILE, help="Image to start the walk from, together with --to (needs an encoder)."
)
@condition_option("Label of a conditional model, by name or number; the first of two, with --to.")
@click.option(
    "--to",
    "last",
    metavar="IMAGE|LABEL",
    help="Image to end the walk at, with --from; or the label to walk to from that of --condition, where z "
    "stays.",
)
@seed_option
@out_option("interpolation")
@device_option
def interpolate_command(
    name: str,
    n: int | None,
    steps: int,
    first: str | None,
    condition: str | None,
    last: str | None,
    seed: int | None,
    out: str | None,
    device: str | None,
) -> None:
    """Interpolate between latent vectors.

    The walk is spherical if the prior is Gaussian and straight if it is uniform. With --from and --to, your
    two images are shown at the ends of the row, next to their reconstructions. With --condition and --to, the
    walk goes from one label to another, and z is the same all along a row.
    """
    entry = find(name)
    card = entry.card
    label = last if first is None and condition is not None else None
    if label is None:
        # None means not typed: the defaults are filled in afterwards, so that -n 4 is seen even if 4 is the
        # default.
        _check_ends(first, last, chosen=n is not None or seed is not None)
    walks = n if n is not None else WALKS
    check_grid(walks * steps)
    if first is None:
        check_samples(card)
    if label is not None:
        _check_labels(card)
    condition = check_one(entry, condition)
    label = label and check_one(entry, label)
    path = target(out, card, "interpolation")
    start = drawn(seed)
    model = loaded(entry, device)
    told = in_words(model, condition)
    if first is not None:
        _between(model, first, str(last), steps, path, condition)
        where = f"the latent space of {card.name} from {first} to {last}{told}"
        note(safe_text(f"{path}: a walk of {steps} steps through {where}", 1000))
        return
    from genzoo.images import save_grid

    save_grid(_walks(model, walks, steps, start, (condition, label)).flatten(0, 1), path, columns=steps)
    where = f"through the latent space of {card.name}{told}, seed {start}"
    if label is not None:
        where = f"of {card.name} from {condition} to {label}, the same z in a row, seed {start}"
    note(safe_text(f"{path}: {several(walks, 'walk')} of {steps} steps {where}", 1000))


def _walks(model: Any, n: int, steps: int, seed: int, labels: tuple[str | None, str | None]) -> Any:
    """Return the images (n, steps, C, H, W) of walks between samples, or between two labels."""
    from genzoo.explore.blending import blend
    from genzoo.explore.interpolation import interpolate
    from genzoo.explore.latents import check_latent_model

    condition, label = labels
    if label is None:
        return interpolate(model, n, steps, seed, condition=condition)
    check_latent_model(model)
    return blend(model, model.sample_latents(n, seed), condition, label, steps=steps)


def _check_labels(card: Card) -> None:
    """Raise ArgumentError if the model of `card` takes something else than labels."""
    if card.condition is not None and not isinstance(card.condition, Labels):
        raise ArgumentError(
            f"{card.name} takes no labels to walk between: it takes {card.condition.brief}",
            "leave --to out for a walk through z",
        )


def _check_ends(first: str | None, last: str | None, *, chosen: bool) -> None:
    """Raise UsageError unless both ends are given or none; given ends leave nothing to be `chosen`."""
    context = click.get_current_context()
    if (first is None) != (last is None):
        raise click.UsageError("--from and --to must be given together: the two ends of a walk", context)
    if last is not None:
        to = next(option for option in context.command.params if option.name == "last")
        _FILE.convert(last, to, context)
    if first is not None and chosen:
        raise click.UsageError("--from and --to define the only walk: leave out -n and --seed", context)


def _between(model: Any, first: str, last: str, steps: int, path: Any, condition: str | None) -> None:
    """Draw the walk between the codes of two image files, with the images themselves at the ends."""
    import torch

    from genzoo.explore.figure import beside
    from genzoo.explore.interpolation import interpolate
    from genzoo.explore.latents import check_encoder, codes, read_image
    from genzoo.images import grid, save_picture

    check_encoder(model, "leave out --from and --to for walks between samples")
    ends = torch.cat([read_image(file, model.image_shape) for file in (first, last)])
    # The codes are the ends of the walk, so that their decoded images stand next to the originals.
    points = codes(model, ends, condition)
    walk = interpolate(model, steps=steps, ends=points, condition=condition)
    save_picture(beside(grid(ends[:1]), grid(walk[0], columns=steps), grid(ends[1:])), path)
