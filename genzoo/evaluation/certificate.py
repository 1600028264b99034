"""The certificate of a density: laws that must hold before its bits/dim mean anything, checked on small
builds of the same class.

`certify(model)` raises LawError if a law is broken; otherwise it returns which laws hold and how many earlier
pixels a pixel sees.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from genzoo.condition import Condition
from genzoo.evaluation import integrals, laws
from genzoo.evaluation.inputs import Progress
from genzoo.law import LawError, hold
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.density import DensityModel
from genzoo.process import undisturbed

M = TypeVar("M", bound=DensityModel)
MOST_IMAGES = 1024  # that are enumerated here
# heights and widths: for the order of pixels, and for what the middle one sees
MIDDLING = (5, 6)
WIDE = (13, 13)
TINY = ((3, 3), (2, 4), (2, 3), (2, 2), (1, 2), (1, 1))  # for enumeration, the first that is small enough
STIR = 0.3  # standard deviation given to what was filled with one value
CONDITIONS = 10  # for which a conditional model is checked, at most
FEWER = 1000  # samples that are counted at least, for each of several conditions
_ISSUED: dict[tuple[type[Any], str, int, tuple[float, ...]], Certificate] = {}


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The laws checked for a class and config of density models.

    Attributes:
        model: the name of the class.
        config: the first digits of the sha256 of class and config: another config needs another certificate.
        levels: values of a pixel, 2 for black and white; 0 if p(x) is a density of real numbers.
        checked: the laws that hold, one line each.
        seen, possible: how many earlier pixels the middle one of 13x13 sees, and how many there are; None if
            pixels have no order.
        given: of a conditional model, what the laws were checked for: "each condition", or "10 different
            conditions" where there are more; "" of any other model.
    """

    model: str
    config: str
    levels: int
    checked: tuple[str, ...]
    seen: int | None = None
    possible: int | None = None
    given: str = ""

    def __str__(self) -> str:
        of = f"{self.levels} levels" if self.levels else "real numbers"
        given = f", given {self.given}" if self.given else ""
        return f"{self.model} [{self.config}], {of}{given}: {'; '.join(self.checked)}"


@undisturbed()
def certificate_of(model: DensityModel, progress: Progress | None = None) -> Certificate:
    """Return the certificate of the model's class and config, made once per process, after checking `model`'s
    own weights on noise.

    That of a conditional model is made for p(x|c) with each c that `certify` chooses. `progress` is called as
    by `certify`.

    Raises:
        LawError: the first law that is broken.
    """
    given = () if model._fixed is None else tuple(model._fixed.flatten().tolist())
    key = (type(model), digest(model), model.levels, given)
    if key not in _ISSUED:
        _ISSUED[key] = certify(model, progress=progress)
    certificate = _ISSUED[key]
    for fixed, words in _fixed(model):
        with _saying(words):
            laws.check_noise(fixed, certificate.levels, f"{type(model).__name__}._log_prob")
    return certificate


@undisturbed()
def certify(model: DensityModel, levels: int | None = None, progress: Progress | None = None) -> Certificate:
    """Check the laws of a density, exact or a bound, on small builds of its class and config with initial
    weights; return the certificate.

    Masses are summed over all images of a few pixels, a density of real numbers (`levels` 0) is integrated
    over one or two: the total is 1, or at most 1 for a bound. `levels` overrides the model's. A conditional
    model is checked as p(x|c) with each c, or, where there are more than 10, with 10 different ones.
    `progress` is called with ("certificate", done, total) after each law.

    Raises:
        LawError: a law is broken, or no build is small enough to check it.
    """
    known = model.levels if levels is None else levels
    every, found = list(_fixed(model)), []
    for place, (fixed, words) in enumerate(every):
        told = progress and functools.partial(_told, progress, place, len(every))
        with _saying(words):
            found.append(_certify(fixed, known, told, max(FEWER, laws.SAMPLES // len(every))))
    return dataclasses.replace(found[0], given=_given(model.condition))


def _certify(model: DensityModel, known: int, progress: Progress | None, samples: int) -> Certificate:
    """Return the certificate of a model without a condition, or with a fixed one."""
    name = type(model).__name__
    where = f"{name}._log_prob"
    checked: list[str] = []
    seen = possible = None
    builds, number = list(_tiny(model, known) if known else _reals(model)), itertools.count(1)
    ordered = isinstance(model, AutoregressiveModel)
    total = (2 if model.exact else 1) * len(builds) + (5 if ordered else 0)

    def kept() -> None:
        if progress is not None:
            progress("certificate", next(number), total)

    if isinstance(model, AutoregressiveModel):
        checked += _in_order(model, known, f"{name}._predict", kept)
        seen, possible = _context(model, f"{name}._predict")
        kept()
        checked.append(f"a pixel sees {seen} of {possible} earlier ones")
    sampled = (model, builds, where, samples, kept)
    checked += _counted(*sampled) if known else _integrated(*sampled)
    law = (
        "a density can be built so small that its total, Σ p(x) or ∫ p(x) dx, is seen to be 1 (at most "
        "1 for a bound)"
    )
    hold(
        builds,
        law,
        f"no small image_shape that {name} accepts, such as (1, 1, 1)",
        f"{name}.Config.image_shape",
    )
    return Certificate(
        model=name, config=digest(model), levels=known, checked=tuple(checked), seen=seen, possible=possible
    )


def _fixed(model: DensityModel) -> Iterator[tuple[DensityModel, str]]:
    """Yield the models that the laws are checked on, and the condition of each in words: the model itself, or
    a conditional one with each of some conditions fixed.
    """
    if model.condition is None:
        yield model, ""
        return
    for value in _different(model.condition.examples(CONDITIONS)):
        yield model.given(value), model.condition.describe(value)


def _given(condition: Condition | None) -> str:
    """Return which conditions the laws are checked for, for the certificate."""
    if condition is None:
        return ""
    few, more = (len(_different(condition.examples(n))) for n in (CONDITIONS, CONDITIONS + 1))
    return "each condition" if few == more else f"{few} different conditions"


@contextlib.contextmanager
def _saying(given: str) -> Iterator[None]:
    """Say in a LawError what was given, unless that is nothing."""
    try:
        yield
    except LawError as error:
        if not given:
            raise
        raise LawError(error.law, f"{error.seen}, given {given}", error.where) from error


def _told(progress: Progress, place: int, count: int, what: str, done: int, total: int) -> None:
    progress(what, place * total + done, count * total)


def _different(values: list[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value not in values[:place]]


def digest(model: DensityModel) -> str:
    """Return the first twelve digits of the sha256 of the model's class and config."""
    words = f"{type(model).__module__}:{type(model).__qualname__} {model.config!r}"
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def _in_order(model: AutoregressiveModel, levels: int, where: str, kept: Callable[[], None]) -> list[str]:
    small = _small(model, MIDDLING) or model
    for check in (laws.check_order, laws.check_terms, laws.check_conditionals, laws.check_noise):
        check(small, levels, where)
        kept()
    colours = ", R → G → B" if small.image_shape[0] == len(laws.COLOURS) else ""
    return [
        f"no gradient from later pixels{colours}",
        "every p(pixel | earlier) sums to 1",
        "noise is not below its entropy",
    ]


def _context(model: AutoregressiveModel, where: str) -> tuple[int, int]:
    wide = _small(model, WIDE) or model
    return laws.check_context(wide, wide.full_context, where)


def _counted(
    model: DensityModel,
    builds: list[tuple[DensityModel, int]],
    where: str,
    samples: int,
    kept: Callable[[], None],
) -> list[str]:
    """Enumerate the images of tiny builds: Σ p(x) = 1, and samples as often as p says; of a bound Σ p(x) ≤
    1.
    """
    said = []
    for tiny, values in builds:
        images = laws.check_sum(tiny, values, where)
        kept()
        over = f"over {images:,} images of {'×'.join(map(str, tiny.image_shape))} with {values} levels"
        if not model.exact:
            said.append(f"Σ p(x) ≤ 1 {over}")
            continue
        laws.check_frequencies(tiny, values, f"{type(model).__name__}._sample", samples)
        kept()
        said.append(f"Σ p(x) = 1 {over}, and samples come as often as p says")
    return said


def _integrated(
    model: DensityModel,
    builds: list[tuple[DensityModel, int]],
    where: str,
    samples: int,
    kept: Callable[[], None],
) -> list[str]:
    """Integrate builds of one and two real pixels: ∫ p(x) dx = 1, and samples where p says; of a bound ∫ p(x)
    dx ≤ 1.
    """
    said = []
    for tiny, size in builds:
        integrals.check_integral(tiny, where)
        kept()
        over, sampled = f"over {size} real pixel{'s' if size > 1 else ''}", model.exact and size == 1
        if sampled:
            integrals.check_places(tiny, f"{type(model).__name__}._sample", samples)
        if model.exact:
            kept()
        said.append(
            f"∫ p(x) dx {'=' if model.exact else '≤'} 1 "
            f"{over}{', and samples fall where p says' if sampled else ''}"
        )
    return said


def _reals(model: DensityModel) -> Iterator[tuple[DensityModel, int]]:
    """Yield builds of one and of two dimensions, each with their number; with one channel where the model's
    own are too many.
    """
    for size in range(1, integrals.MOST + 1):
        small = next(
            filter(None, (_small(model, sides, channels=1) for sides in ((1, size), (size, 1)))), None
        )
        if small is not None:
            yield small, size


def _tiny(model: DensityModel, levels: int) -> Iterator[tuple[DensityModel, int]]:
    """Yield builds whose every image can be counted, each with its number of levels: the model's, and two
    where the config has levels.

    Where all images of the model's own channels are too many, it is built with one channel.
    """
    for values in dict.fromkeys((levels, 2) if hasattr(model.config, "levels") else (levels,)):
        changes = {"levels": values} if hasattr(model.config, "levels") else {}
        found = next(
            (
                s
                for c in dict.fromkeys((model.image_shape[0], 1))
                for s in _countable(model, c, values, changes)
            ),
            None,
        )
        if found is not None:
            yield found, values


def _countable(model: M, channels: int, levels: int, changes: dict[str, Any]) -> Iterator[M]:
    """Yield builds with at most MOST_IMAGES images, the largest first."""
    for sides in TINY:
        size = channels * math.prod(sides)
        if levels**size <= MOST_IMAGES and (levels <= 16 or size == 1):
            small = _small(model, sides, channels=channels, **changes)
            if small is not None:
                yield small


def _small(model: M, sides: tuple[int, int], channels: int | None = None, **changes: Any) -> M | None:
    """Return a model of the same class and config but for its image size, or None where the class refuses
    it.
    """
    shape = (channels or model.image_shape[0], *sides)
    build: Callable[[Any], M] = type(model)
    with contextlib.suppress(Exception), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small = build(dataclasses.replace(model.config, image_shape=shape, **changes)).eval()
        _stir(small)
        return small if model._fixed is None else small.given(model._fixed)
    return None


@torch.no_grad()
def _stir(model: DensityModel) -> None:
    """Fill parameters that hold one value only with noise: a head that starts at zero would hide any leak
    behind it.
    """
    for parameter in model.parameters():
        if parameter.is_floating_point() and bool((parameter == parameter.flatten()[0]).all()):
            parameter.add_(torch.randn_like(parameter), alpha=STIR)
