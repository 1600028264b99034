"""`genzoo arithmetic`: sums of concepts, drawn as in figure 7 of the DCGAN paper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from genzoo.card import Card
from genzoo.cli.conditions import check_one, condition_option, given
from genzoo.cli.exploring import drawn, loaded, out_option, target
from genzoo.cli.options import (
    LARGEST_SEED,
    command,
    data_option,
    device_option,
    find,
    model_argument,
    seed_option,
)
from genzoo.cli.output import Progress, note
from genzoo.errors import safe_text
from genzoo.names import FEWEST

if TYPE_CHECKING:
    from torch import Tensor

MOST = 100  # images whose codes make a concept, unasked
_SEED = re.compile(r"(\d{1,19})(?::(\d{1,9}))?", re.ASCII)
_OF_SEEDS = (
    "hand-picked images: SEED, or SEED:NUMBER for one image of `genzoo sample --seed SEED`, counted from 0"
)


class Concept(NamedTuple):
    """A group of images that is added or taken away."""

    words: str
    z: Tensor  # (n, latent_size)
    samples: Tensor  # (≥ 3, C, H, W), some of its images


def read_seeds(
    context: click.Context, parameter: click.Parameter, texts: Sequence[str]
) -> list[list[tuple[int, int]]]:
    """Return each text, such as `3,14,15` or `7:0,7:12,7:31`, as pairs of a seed and the number of an
    image.
    """
    return [_read_group(context, parameter, text) for text in texts]


def _read_group(context: click.Context, parameter: click.Parameter, text: str) -> list[tuple[int, int]]:
    group = [_read_seed(context, parameter, word.strip()) for word in text.split(",")]
    if len(group) < FEWEST:
        count = "one sample" if len(group) == 1 else f"{len(group)} samples"
        raise click.BadParameter(
            f"{parameter.opts[0]} {text} names {count}; give at least {FEWEST}, as a concept is their mean",
            context,
            parameter,
        )
    return group


def _read_seed(context: click.Context, parameter: click.Parameter, word: str) -> tuple[int, int]:
    found = _SEED.fullmatch(word)
    if not found or int(found[1]) > LARGEST_SEED:
        raise click.BadParameter(
            f"{word!r} is not a seed; write 3,14,15, or 7:0,7:12,7:31 for images of seed 7",
            context,
            parameter,
        )
    return int(found[1]), int(found[2] or 0)


@command("arithmetic")
@model_argument
@click.option(
    "--plus",
    multiple=True,
    metavar="CONCEPT",
    help="Add images by label or attributes: 7, or Smiling,not-Male. Repeatable.",
)
@click.option(
    "--minus", multiple=True, metavar="CONCEPT", help="Subtract images chosen in the same way. Repeatable."
)
@click.option(
    "--plus-seeds",
    multiple=True,
    callback=read_seeds,
    metavar="SEED,SEED,SEED...",
    help=f"Add {_OF_SEEDS}. Repeatable.",
)
@click.option(
    "--minus-seeds",
    multiple=True,
    callback=read_seeds,
    metavar="SEED,SEED,SEED...",
    help="Subtract images chosen in the same way. Repeatable.",
)
@click.option(
    "-n",
    "n",
    type=click.IntRange(min=FEWEST),
    help=f"Images per concept. Default: {MOST} labelled images, or {FEWEST} samples of a GAN.",
)
@click.option(
    "--noise",
    type=click.FloatRange(0, 100),
    default=0.25,
    show_default=True,
    help="Half-width of the uniform noise around the sum.",
)
@condition_option()
@data_option
@seed_option
@out_option("arithmetic")
@device_option
def arithmetic_command(
    name: str,
    plus: tuple[str, ...],
    minus: tuple[str, ...],
    plus_seeds: list[list[tuple[int, int]]],
    minus_seeds: list[list[tuple[int, int]]],
    n: int | None,
    noise: float,
    condition: str | None,
    data: str | None,
    seed: int | None,
    out: str | None,
    device: str | None,
) -> None:
    """Add and subtract concepts, such as smile - neutral + man.

    The paper's example is smiling woman - neutral woman + neutral man. A concept is the mean z of at least
    three images. A GAN has no encoder: the concept is the mean of those of its own samples that show it most
    clearly to the discriminator, and their seeds are printed for --plus-seeds.

    The picture shows on the left samples of each concept and the image of their mean; then the sum, in the
    middle of its neighbours; and last the control, the same sum over pixels.
    """
    entry = find(name)
    card = entry.card
    if not plus and not plus_seeds:
        context = click.get_current_context()
        raise click.UsageError(
            "nothing to add; give --plus-seeds 3,14,15, or --plus Smiling if the data have labels", context
        )
    condition = check_one(entry, condition)
    path = target(out, card, "arithmetic")
    start = drawn(seed)
    model, told = given(loaded(entry, device), condition)
    from genzoo.explore.arithmetic import arithmetic, picture
    from genzoo.images import save_picture

    named = _named(model, card, data, (*plus, *minus), n, start)
    added = [*named[: len(plus)], *(_of_seeds(model, group) for group in plus_seeds)]
    taken = [*named[len(plus) :], *(_of_seeds(model, group) for group in minus_seeds)]
    result = arithmetic(
        model, [concept.z for concept in added], [concept.z for concept in taken], noise=noise, seed=start
    )
    save_picture(picture(result, [concept.samples for concept in (*added, *taken)], len(taken)), path)
    formula = f"{_formula(added, taken)} by {card.name}{told}, with noise of ± {noise:g}"
    note(safe_text(f"{path}: {formula}, and the same sum over pixels; seed {start}", 1500))


def _formula(added: Sequence[Concept], taken: Sequence[Concept]) -> str:
    first, *rest = added
    minus = "".join(f" - {concept.words}" for concept in taken)
    return first.words + minus + "".join(f" + {concept.words}" for concept in rest)


def _named(
    model: Any, card: Card, data: str | None, concepts: Sequence[str], n: int | None, seed: int
) -> list[Concept]:
    """Return concepts that are given in words: labelled training images, or samples that a GAN's
    discriminator takes for such.
    """
    if not concepts:
        return []
    from genzoo.evaluation.reading import samples_showing
    from genzoo.evaluation.scoring import held_in
    from genzoo.explore.latents import check_encoder
    from genzoo.models import AdversarialModel

    if not isinstance(model, AdversarialModel):
        check_encoder(model, "choose images by their seeds: --plus-seeds 3,14,15")
        images = held_in(model, card, data, "train")
        return [_of_words(model, images, words, n or MOST, seed) for words in concepts]
    images = held_in(model, card, data, "train")
    with Progress(card.name, "images") as progress:
        found = samples_showing(model, images, concepts, n or FEWEST, seed, progress=progress)
    groups = [_of_seeds(model, [(seed, number) for number in numbers]) for numbers in found]
    return [
        group._replace(words=f"{words} ({group.words})")
        for words, group in zip(concepts, groups, strict=True)
    ]


def _of_words(model: Any, images: Any, words: str, n: int, seed: int) -> Concept:
    from genzoo.explore.concepts import choose, of_images

    pixels = choose(images, words, n, seed)
    return Concept(
        f"{words} ({len(pixels)} images)", of_images(model, pixels, words), pixels[:FEWEST].to(model.device)
    )


def _of_seeds(model: Any, seeds: list[tuple[int, int]]) -> Concept:
    from genzoo.explore.concepts import of_seeds

    z = of_seeds(model, seeds)
    words = ",".join(f"{seed}:{number}" if number else str(seed) for seed, number in seeds)
    return Concept(f"seeds {words}", z, model.decode(z[:FEWEST]))
