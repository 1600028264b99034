"""Laws of models that translate pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.images import quantise
from genzoo.models import TranslatingModel
from genzoo.models.rows import rows_of
from genzoo.rng import Rng
from genzoo.testing.generative import BAD_SEEDS, check_pixels, fresh_noise, near, untouched
from genzoo.testing.law import LawError, hold, refuses

PICTURES = 3  # that are translated at a time
LARGER = 2  # how many multiples the sides of a picture of another size have more


def check_translating(model: TranslatingModel) -> None:
    """Hold a model to the laws of translation, in each direction that it knows.

    A translation keeps order and size. Translation i depends on the seed, i and picture i alone. The seed
    changes it if the condition says `noisy`, and only then. Wrong pictures, sizes, domains and directions are
    errors of one line.

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(
        isinstance(model, TranslatingModel),
        "check_translating is for a TranslatingModel",
        name,
        "its base classes",
    )
    where = f"{name}._translate"
    check_stored(model)
    _check_arguments(model, name)
    with untouched(model, where):
        for to in model.picture.domains[not model.picture.both_ways :]:
            _check_direction(model, to, f"{where} to {to!r}")
        _check_sample(model, where)
    if model.picture.both_ways:
        _check_both(model, where)


def pictures_for(model: TranslatingModel, to: str, n: int = PICTURES) -> Tensor:
    """Return `n` noisy pictures that `model` translates into `to`, (n, C, H, W) in [0, 1], of 256 levels."""
    first, second = model.picture.domains
    shape = model.shape_of(first if to == second else second)
    return quantise(Rng(0, 0, n).uniform(*shape).float()).float() / 255


def _check_direction(model: TranslatingModel, to: str, where: str) -> None:
    x = pictures_for(model, to)
    _check_raw(model, x, to, where)
    with fresh_noise(1):
        many = model.translate(x, to, seed=0)
    shape = (PICTURES, model.shape_of(to)[0], *x.shape[2:])
    check_pixels(many, shape, "a translation keeps size and number", where)
    with fresh_noise(2):
        again = model.translate(x, to, seed=0)
    hold(torch.equal(many, again), "the same seed and pictures give the same translations", "others", where)
    law = "a translation does not depend on the pictures beside it"
    look = f"{where}: batch statistics, or noise of a whole batch"
    hold(torch.equal(model.translate(x[:1], to, seed=0), many[:1]), law, "another one alone", look)
    changed = torch.cat([1 - x[:1], x[1:]])
    found = model.translate(changed, to, seed=0)
    hold(torch.equal(found[1:], many[1:]), law, "another one beside another picture", look)
    hold(not torch.equal(found[0], many[0]), "another picture gives another translation", "the same", where)
    _check_noise(model, x, to, many, where)
    _check_order(model, x, to, where)
    _check_larger(model, x, to, where)
    law = "8-bit pictures and floats of the same values give the same translation"
    hold(torch.equal(model.translate(quantise(x), to, seed=0), many), law, "another one", where)


def _check_raw(model: TranslatingModel, x: Tensor, to: str, where: str) -> None:
    """What the author's method returns for a whole batch, before `translate` clamps it."""
    given = x.to(model.device)
    with torch.no_grad(), model.evaluating():
        many = model._translate(given, to, Rng(0, 0, len(x), model.device))
        alone = model._translate(given[1:2], to, Rng(0, 1, 1, model.device))
    shape = (len(x), model.shape_of(to)[0], *x.shape[2:])
    check_pixels(many, shape, f"{where} returns images in [0, 1] of the size of its pictures", where)
    near(alone, many[1:2], many, "a translation does not depend on the pictures beside it", where)


def _check_noise(model: TranslatingModel, x: Tensor, to: str, found: Tensor, where: str) -> None:
    other = model.translate(x, to, seed=1)
    same = torch.equal(other, found)
    if model.picture.noisy:
        law = "of a noisy model, another seed gives another translation"
        hold(not same, law, "the same one", f"{where}: dropout that is off in evaluation; or noisy = False")
        twice = model.translate(x[:1].expand_as(x), to, seed=0)
        law = "of a noisy model, one picture twice has two translations"
        hold(not torch.equal(twice[0], twice[1]), law, "the same one", f"{where}: draw noise from rng")
    else:
        law = "without noise, the seed changes nothing"
        hold(same, law, "another translation", f"{where}: noise in it; or noisy = True in Config and card")


def _check_order(model: TranslatingModel, x: Tensor, to: str, where: str) -> None:
    """Hold that picture i changes translation i and no other."""
    law = "translations are in the order of the pictures"
    alike = x[:1].repeat(len(x), 1, 1, 1)
    base = model.translate(alike, to, seed=0)
    for i in range(len(x)):
        shown = alike.clone()
        shown[i] = x[-1]
        found = model.translate(shown, to, seed=0)
        changed = [row for row in range(len(x)) if not torch.equal(found[row], base[row])]
        hold(changed == [i], law, f"picture {i} changes {changed}", where)


def _check_larger(model: TranslatingModel, x: Tensor, to: str, where: str) -> None:
    name = type(model).__name__
    if not model.multiple:
        odd = torch.zeros(1, *x.shape[1:3], x.shape[3] + 1)
        law = "a size that does not fit is an ArgumentError that says which does"
        _names(lambda: model.translate(odd, to), f"{x.shape[2]}x{x.shape[3]}", law, "another size", where)
        return
    height, width = (side + (LARGER + i) * model.multiple for i, side in enumerate(x.shape[2:]))
    larger = Rng(0, 0, 1).uniform(x.shape[1], height, width).float()
    law = f"pictures of any multiple of {model.multiple} are translated, as {name}.multiple says"
    try:
        found = model.translate(larger, to, seed=0)
    except Exception as error:
        raise LawError(law, f"{height}x{width} raises {type(error).__name__}: {error}", where) from error
    hold(found.shape[2:] == larger.shape[2:], law, f"{tuple(found.shape)}", where)
    if model.multiple > 1:
        law = "a size that does not fit is an ArgumentError that says which does"
        near_ = f"{height}x{width}"
        _names(lambda: model.translate(larger[..., 1:], to), near_, law, f"{height}x{width - 1}", where)


def _names(ask: Callable[[], object], word: str, law: str, what: str, where: str) -> None:
    try:
        ask()
    except ArgumentError as error:
        hold(word in str(error) and str(error).isprintable(), law, f"{what}: {error}", where)
    except Exception as error:
        raise LawError(law, f"{what} raises {type(error).__name__}: {error}", where) from error
    else:
        raise LawError(law, f"{what} is accepted", where)


def _check_sample(model: TranslatingModel, where: str) -> None:
    """Hold that samples under a picture are its translations."""
    x = pictures_for(model, model.picture.domains[1])
    same = torch.equal(model.sample(PICTURES, seed=3, condition=x), model.translate(x, seed=3))
    law = "sample(n, condition=pictures) is translate(pictures)"
    hold(same, law, "other images", f"{where}: write _translate and leave _sample alone")


def _check_both(model: TranslatingModel, where: str) -> None:
    first, second = model.picture.domains
    if model.shape_of(first) != model.shape_of(second):
        return
    x = pictures_for(model, second)
    law = "the two directions are two functions"
    same = torch.equal(model.translate(x, first, seed=0), model.translate(x, second, seed=0))
    hold(not same, law, f"the same for {first!r} and {second!r}", f"{where}: what becomes of to")


def _check_arguments(model: TranslatingModel, name: str) -> None:
    picture, law = model.picture, "wrong arguments of translate are errors of one line"
    where = f"{name}.translate: write _translate and leave translate alone"
    x = pictures_for(model, picture.domains[1], 1)
    ask = partial(model.translate, x)
    wrong = f"no {picture.domains[1]}\x1b[2J"
    for seed in BAD_SEEDS:
        refuses(partial(ask, seed=seed), ArgumentError, law, f"seed={seed!r}", where)
    refuses(partial(ask, to=wrong), UnknownNameError, law, "an unknown domain", where)
    for to in (3, b"photo", [picture.domains[1]]):
        refuses(partial(ask, to=to), ArgumentError, law, f"to={to!r}", where)
    if not picture.both_ways:
        law = "a model of one direction refuses the other, and names its own"
        _names(lambda: model.translate(x, picture.domains[0]), picture.domains[1], law, "the other", where)
    law = "grey pictures for coloured ones, and the other way round, are an error that says what to write"
    other = torch.zeros(1, 4 - x.shape[1], *x.shape[2:])
    _names(lambda: model.translate(other), "x.expand" if x.shape[1] == 3 else "x.mean", law, "them", where)
    for what, value in {
        "none": x[:0], "one without a batch": x[0], "NaN": x * torch.nan, "[-1, 1]": x - 2, "a text": "x.png",
    }.items():  # fmt: skip
        refuses(partial(model.translate, value), ArgumentError, law, what, where)


def check_stored(model: TranslatingModel) -> None:
    """Hold that what weights state of a picture is what the model translates.

    Raises:
        LawError: the law is broken.
    """
    stated = json.loads(json.dumps(model.picture.config))
    law = "the config of a model states its pictures"
    config = {key: getattr(model.config, key) for key in stated}
    hold(json.loads(json.dumps(config)) == stated, law, repr(config), f"Config of {type(model).__name__}")
    rows = rows_of(model.picture, model.picture.examples(2), 2)
    hold(rows.shape == (2, *model.picture.shape), law, tuple(rows.shape), type(model).__name__)
