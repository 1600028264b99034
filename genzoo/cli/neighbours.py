"""`genzoo neighbours`: samples beside the training images that are nearest to them: learned or copied?"""

from __future__ import annotations

from typing import Any, NamedTuple

import click

from genzoo.card import Card
from genzoo.cli.conditions import check_one, condition_option, given
from genzoo.cli.evaluation import complete_net
from genzoo.cli.exploring import drawn, loaded, out_option, target
from genzoo.cli.options import (
    command,
    data_option,
    device_option,
    find,
    json_option,
    model_argument,
    seed_option,
)
from genzoo.cli.output import Progress, note, say_json, say_table
from genzoo.cli.pictures import check_grid, check_samples
from genzoo.errors import safe_text
from genzoo.units import several

SPACES = ("pixel", "feature", "model")


class Search(NamedTuple):
    """What was looked for, where, and what was found."""

    space: str  # in words
    train: Any  # Images
    found: Any  # Neighbours of the samples
    usual: float  # median distance of held-out images to their nearest training image
    held_out: int  # images that this is the median of
    mirrored: bool  # whether mirror images were looked at as well


@command("neighbours")
@model_argument
@data_option
@click.option(
    "-n",
    "n",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Number of samples, one per row.",
)
@click.option(
    "--nearest",
    "k",
    type=click.IntRange(1, 100),
    default=4,
    show_default=True,
    help="Training images per sample.",
)
@click.option(
    "--space",
    type=click.Choice(SPACES),
    default="pixel",
    show_default=True,
    help="Space to measure distances in: pixels, features, or the model's own features.",
)
@click.option(
    "--features",
    metavar="gist|NAME",
    shell_complete=complete_net,
    help=(
        "Feature space for --space feature: gist, or a classifier from `genzoo list --family "
        "classifier`. Default: gist."
    ),
)
@condition_option()
@seed_option
@out_option("neighbours")
@json_option
@device_option
def neighbours_command(
    name: str,
    data: str | None,
    n: int,
    k: int,
    space: str,
    features: str | None,
    condition: str | None,
    seed: int | None,
    out: str | None,
    as_json: bool,
    device: str | None,
) -> None:
    """Show samples next to their nearest training images.

    Has the model learned, or has it copied? Each row shows a sample and its nearest training images, nearest
    first; of a VAE it is the mean of p(x|z). Their distances are printed, and for comparison the median
    distance of held-out images.
    """
    entry = find(name)
    card = entry.card
    # Refused rather than ignored: the distances would be of another space than the one that was asked for.
    if features is not None and space != "feature":
        raise click.UsageError(f"--features needs --space feature: --space {space} uses no features")
    check_samples(card)
    check_grid(n * (k + 1))
    condition = check_one(entry, condition)
    path = target(out, card, "neighbours")
    start = drawn(seed)
    model, told = given(loaded(entry, device), condition)
    from genzoo.explore.figure import beside
    from genzoo.images import grid, save_picture

    with Progress(card.name, "pixels") as progress:
        samples, shown = _samples(model, n, start, progress)
    with Progress(card.name, "images") as progress:
        search = _search(model, card, data, samples, k, (space, features), start, progress)
    save_picture(beside(grid(samples, columns=1), grid(_images(search), columns=k)), path)
    if as_json:
        say_json([_entry(search, row) for row in range(n)])
    else:
        say_table(
            ["SAMPLE", "NEAREST"],
            [[row, ", ".join(_words(near) for near in _near(search, row))] for row in range(n)],
        )
    drew = f"{several(n, 'sample')} of {card.name}{told}{shown}, seed {start}"
    note(safe_text(f"{path}: {drew}, {_beside(search)}", 1500))


def _samples(model: Any, n: int, seed: int, progress: Progress) -> tuple[Any, str]:
    """Return `n` images as pictures show them, and what the line says of that."""
    from genzoo.models.manner import pictured

    manner = pictured(model)
    images = model.sample(n, seed, progress=progress, mean=manner.mean).cpu()
    return images, f" ({manner.words})" if manner.words else ""


def _beside(search: Any) -> str:
    """Return in words beside what the samples stand, and how far images that are not copied are from it."""
    mirrored = " and their mirror images" if search.mirrored else ""
    pool = f"{len(search.train):,} training images of {search.train.name}{mirrored}"
    usual = f"{several(search.held_out, 'held-out image is', 'held-out images are')} {search.usual:.4g}"
    return f"beside the nearest of {pool} in {search.space}; {usual} from their nearest (median)"


def _search(
    model: Any,
    card: Card,
    data: str | None,
    samples: Any,
    k: int,
    space: tuple[str, str | None],
    seed: int,
    progress: Progress,
) -> Search:
    import torch

    from genzoo.evaluation.inputs import subset
    from genzoo.evaluation.neighbours import nearest_images
    from genzoo.evaluation.scoring import held_in
    from genzoo.explore.features import source
    from genzoo.images import quantise

    if space[0] == "model":
        source(model)  # refuses a model that has no features, before the images are decoded
    train, test = held_in(model, card, data, "train"), held_in(model, card, data, "test")
    words, where = _place(model, train, space, progress)
    # No more held-out images than samples: each has to be searched for, and together they give one number.
    unseen = torch.from_numpy(test[subset(len(test), min(len(samples), len(test)), seed, "shown")])
    # A model trained with flips has seen the mirror images too.
    flips = card.recipe is not None and card.recipe.flip
    # One search for both: the training images are read once.
    asked = torch.cat([quantise(samples), unseen])
    found = nearest_images(asked, train, k, where, progress, mirrored=flips)
    own = type(found)(*(part[: len(samples)] for part in found))
    return Search(words, train, own, float(found.distances[len(samples) :, 0].median()), len(unseen), flips)


def _place(model: Any, train: Any, space: tuple[str, str | None], progress: Progress) -> tuple[str, Any]:
    """Return where near is, in words and as `nearest_images` takes it."""
    from genzoo.evaluation.spaces import GIST, feature_space
    from genzoo.explore.features import features, source

    kind, net = space
    if kind == "pixel":
        return "pixels", "pixels"
    if kind == "model":
        return source(model), lambda images: features(model, images, progress)
    found = feature_space(net or "gist", train)
    return found.name, "features" if found is GIST else lambda images: found.describe(images, progress)


def _images(search: Search) -> Any:
    """Return the training images (n · k, C, H, W) uint8, mirrored where they are nearer so."""
    import torch

    images = torch.from_numpy(search.train[search.found.indices.flatten()])
    return torch.where(search.found.mirrored.flatten()[:, None, None, None], images.flip(3), images)


def _near(search: Search, row: int) -> list[dict[str, Any]]:
    """Return the neighbours of a sample, nearest first."""
    columns = (part[row].tolist() for part in search.found)
    return [
        {"index": index, "distance": distance, "mirrored": mirrored}
        for index, distance, mirrored in zip(*columns, strict=True)
    ]


def _words(near: dict[str, Any]) -> str:
    return f"{near['index']}{' mirrored' if near['mirrored'] else ''} at {near['distance']:.4g}"


def _entry(search: Search, row: int) -> dict[str, Any]:
    """Return what JSON says of a sample."""
    about = {
        "space": search.space,
        "data": search.train.name,
        "n_train": len(search.train),
        "held_out_distance": search.usual,
    }
    return {"sample": row, "neighbours": _near(search, row), **about}
