"""Model and GenerativeModel: public methods that check arguments, and underscored methods that a plugin
writes.

Public methods are final: they check shape, dtype, range, device and n once for every model, then call the
underscored method, which does the mathematics. Defining a subclass that overrides a public method raises an
error.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar, cast

import torch
from torch import Tensor, nn

from genzoo.card import Family
from genzoo.condition import Condition
from genzoo.errors import ArgumentError, CardError, safe_repr
from genzoo.images import check_images, quantise
from genzoo.layers.folding import folding_once
from genzoo.layers.plain import stock
from genzoo.layers.precision import in_float32
from genzoo.manner import PLAIN, Manner
from genzoo.models.conditions import absent, check_methods, conditional, fixed, required
from genzoo.models.forward import forward
from genzoo.models.manner import check_manner, in_manner
from genzoo.models.manner import draw as draw_images
from genzoo.models.modes import in_evaluation
from genzoo.models.rows import rows_of
from genzoo.process import neutral
from genzoo.rng import Rng, check_seed
from genzoo.whole import check_count as check_count
from genzoo.whole import check_first

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound="Model")
Progress: TypeAlias = Callable[[int, int], object]  # (pixels drawn so far, of how many)
_FINAL: dict[str, set[str]] = {}


def public(method: F) -> F:
    """Mark a method that no subclass may override: it checks the arguments, the underscored method does the
    work.

    It runs in the neutral state of the process (see genzoo.process), with the weights as they are when it is
    called.
    """
    owner, _, name = method.__qualname__.rpartition(".")
    _FINAL.setdefault(name, set()).add(f"{method.__module__}.{owner}")

    @functools.wraps(method)
    def asked(*args: Any, **kwargs: Any) -> Any:
        with neutral(), folding_once():
            return method(*args, **kwargs)

    return cast(F, asked)


class Model(nn.Module, ABC):
    """A network that knows the shape of its images, (C, H, W), and the typed config that it was built from.

    A subclass is final: it has a frozen dataclass `Config` with at least `image_shape`, and `__init__(self,
    config)` that keeps it as `self.config`. The abstract classes carry no state.
    """

    Config: ClassVar[type[Any]]
    config: Any
    family: ClassVar[Family | None] = None
    explicit: ClassVar[bool] = False  # has a density: set by DensityModel
    implicit: ClassVar[bool] = False  # has none: set by ImplicitModel
    condition_type: ClassVar[type[Condition] | None] = None  # what kind of condition it takes
    latent: ClassVar[bool] = False  # has a z: set by LatentModel
    in_order: ClassVar[bool] = False  # draws pixel by pixel: set by AutoregressiveModel
    decode_chunk: ClassVar[int] = 16  # images per pass of a network, see `in_chunks`
    _fixed: Tensor | None = None  # (1, …): the condition of a model that `given` returned
    _origin: Model | None = None  # and the model whose weights it shares
    _manner: Manner = PLAIN  # of a copy that draws samples in another manner

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, owners in _FINAL.items():
            # a mixin that comes first overrides as well
            owner = next((base for base in cls.__mro__ if name in vars(base)), None)
            if owner is not None and f"{owner.__module__}.{owner.__qualname__}" not in owners:
                raise CardError(
                    f"class {cls.__name__} overrides the public method {name}()",
                    f"write _{name}() instead: {name}() checks its arguments for every model",
                )
        if cls.explicit and cls.implicit:
            # It would silently be trained by likelihood, or by the game, as the order of its bases happens to
            # say.
            raise CardError(
                f"class {cls.__name__} is both a DensityModel and an ImplicitModel",
                "a model either has a density or has none: choose one",
            )
        check_methods(cls)
        cls.family = cls._place()

    @classmethod
    def _place(cls) -> Family | None:
        """Return the family of this class in the taxonomy, or None for an abstract class without one."""
        return None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.config.image_shape
        return (channels, height, width)

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the images of z for a model with a z, log p(x) in nats of images x for any other density:
        `_decode` or `_log_prob` with stock operators alone, for tools of torch that call a module.

        `model(z)` thus works with DataParallel, torch.export, torch.func.vmap and jacrev, in the mode, the
        number format and on the device that the module has, with gradients. Nothing is checked: `decode` and
        `log_prob` are the methods for people. A conditional model takes its condition last, one row per
        image.

        Raises:
            ArgumentError: a model without z and without density.
        """
        with stock():
            return forward(self, *inputs)

    def check_images(self, x: Any, what: str = "x") -> Tensor:
        """Return `x` as (N, C, H, W) float32 in [0, 1] on the model's device, or raise ArgumentError (see
        genzoo.images).
        """
        return check_images(x, self.image_shape, what).to(self.device)

    @property
    def condition(self) -> Condition | None:
        """What must be given as `condition`, or None: for a model without one, and where `given` fixed it."""
        kind = self.condition_type
        return None if kind is None or self._fixed is not None else kind.of(self.config)

    @public
    def given(self: M, condition: Any) -> M:
        """Return this model with its condition fixed: p(x|c), an ordinary model without a condition.

        It shares the weights, and gives what this model gives for `condition`.

        Raises:
            ArgumentError, UnknownNameError: a model without a condition, or an invalid one.
        """
        if condition is None and self.condition is None:
            raise absent(type(self), " to fix")
        (rows,) = self.check_condition(condition, 1)
        return fixed(self, rows)

    def check_condition(self, condition: Any, n: int) -> tuple[Tensor, ...]:
        """Return `condition` as what underscored methods take after their other arguments: nothing for a
        model without a condition, else one tensor with `n` rows, on the model's device.

        Raises:
            ArgumentError: a condition for a model without one, none for a model with one, or an invalid one.
            UnknownNameError: a label that does not exist.
        """
        if self._fixed is not None and condition is None:
            return (self._fixed.expand(n, *self._fixed.shape[1:]).to(self.device),)
        if self.condition is None:
            if condition is not None:
                raise absent(type(self), ": it is fixed" if self._fixed is not None else "")
            return ()
        if condition is None:
            raise required(type(self), self.condition)
        return (rows_of(self.condition, condition, n).to(self.device),)

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put every module in evaluation mode for the block: an output never depends on the mode a model was
        left in.

        Several threads may be inside at once; the mode is restored when the last of them leaves.
        """
        with in_evaluation(self._origin or self), in_evaluation(self):
            yield

    @contextlib.contextmanager
    def asking(self: M, gradients: bool = False) -> Iterator[M]:
        """Yield this model in evaluation mode and float32: itself, or a copy if its weights are in another
        format.

        Without `gradients`, or if the caller has disabled them, none are recorded.

        Raises:
            ArgumentError: weights on the meta device, which has no numbers.
        """
        if any(parameter.is_meta for parameter in self.parameters()):
            raise ArgumentError(
                f"the weights of this {type(self).__name__} are on the meta device, which holds no numbers",
                "genzoo.load(name) or genzoo.create(name) gives a model with weights",
            )
        with torch.set_grad_enabled(gradients and torch.is_grad_enabled()), self.evaluating():
            yield in_float32(self)


class GenerativeModel(Model):
    """A model that can be sampled."""

    @public
    def sample(
        self,
        n: int = 1,
        seed: int | torch.Generator | None = None,
        *,
        first: int = 0,
        condition: Any = None,
        dtype: torch.dtype = torch.float32,
        progress: Progress | None = None,
        mean: bool = False,
        temperature: float | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Return `n` images (n, C, H, W) in [0, 1], float32, on the model's device; `dtype=torch.uint8` gives
        0 … 255.

        Image i of a seed is the same whatever `n` is, and `first` is the i of the first image:
        `sample(10, seed, first=90)` gives the last ten of `sample(100, seed)`. `seed=None` chooses a random
        seed, and a torch.Generator gives its next number as the seed. A conditional model
        takes one `condition` for all images or a list with one for each, such as a label's name or number;
        image i is a function of the seed, i and its own condition, and its z of the seed and i alone.
        `progress` is called with (done, total) in pixels: after every batch, and for models that generate
        pixel by pixel after every pixel.

        With any of the last three the images are not draws from p(x), and `log_prob` is not their likelihood:
        `mean=True` returns the mean of p(x|z) of each z (VAEs), equal to `decode(sample_latents(n, seed))`;
        `temperature` draws the levels of each pixel from p(level | earlier pixels)^(1/T), normalised (pixel
        models); `truncation` draws components of z beyond ±t again until they are within (models with a z).
        They change nothing else, so image i still belongs to (seed, i). See `genzoo.manner.Manner`.

        Raises:
            ArgumentError: n is not a whole number ≥ 1 or needs more memory than there is; a seed or `first`
                outside [0, 2^63); an invalid condition, none for a conditional model, or one for a model
                without; mean, temperature or truncation out of range, or without a meaning for this model.
            UnknownNameError: a label that does not exist; the message gives the nearest.
        """
        count = check_count(n)
        batches = self.sample_batches(
            count,
            seed,
            first=first,
            condition=condition,
            dtype=dtype,
            progress=progress,
            mean=mean,
            temperature=temperature,
            truncation=truncation,
        )
        check_memory(
            count,
            math.prod(self.image_shape) * dtype.itemsize,
            "sample fewer, or a few at a time with sample_batches(n)",
        )
        # once, not every batch and then their sum
        images = torch.empty(count, *self.image_shape, dtype=dtype, device=self.device)
        done = 0
        for batch in batches:
            images[done : done + len(batch)] = batch
            done += len(batch)
        return images

    @public
    def sample_batches(
        self,
        n: int,
        seed: int | torch.Generator | None = None,
        *,
        first: int = 0,
        condition: Any = None,
        dtype: torch.dtype = torch.float32,
        progress: Progress | None = None,
        mean: bool = False,
        temperature: float | None = None,
        truncation: float | None = None,
    ) -> Iterator[Tensor]:
        """Yield the images of `sample` with the same arguments a few at a time, so that memory does not grow
        with n.

        Each batch uses the weights as they are when it is requested.
        """
        count, start, begin = check_count(n), check_seed(seed), check_first(first, n)
        if dtype not in (torch.float32, torch.uint8):
            raise ArgumentError(f"dtype must be torch.float32 or torch.uint8, not {dtype!r}")
        given = self.check_condition(condition, count)
        manner = check_manner(self, Manner(mean=mean, temperature=temperature, truncation=truncation))
        asked = in_manner(self, manner)
        return asked._batches(Draw(count, start, given, begin), dtype, check_progress(progress))

    def _batches(self, draw: Draw, dtype: torch.dtype, progress: Progress | None) -> Iterator[Tensor]:
        # Chunks begin at multiples of their size whatever the first image is: its place in a chunk, and so
        # its last bits, are the same.
        for at in range(-(draw.first % self.decode_chunk), draw.n, self.decode_chunk):
            # not across the yield, where the process is the caller's and weights may change
            with neutral(), folding_once(fresh=False):
                images = self._batch(draw, at, progress)
                batch = quantise(images) if dtype == torch.uint8 else images.clone()
            yield batch

    def _batch(self, draw: Draw, at: int, progress: Progress | None) -> Tensor:
        """Return the images of the chunk that begins `at` images after the first one of `draw`, which may lie
        within it.
        """
        # Always a whole chunk: kernels may sum in another order for another batch size, and a seed's image
        # must not depend on n.
        chunk, skipped = self.decode_chunk, max(0, -at)
        watch = self._watch(progress, at + skipped, min(at + chunk, draw.n), draw.n)
        rng = Rng(draw.seed, draw.first + at, chunk, self.device, watch)
        given = [filled(rows[at + skipped : at + chunk], chunk, skipped) for rows in draw.given]
        with torch.inference_mode(), self.asking() as model:
            images = draw_images(model, rng, *given).float().clamp(0, 1)[skipped : draw.n - at]
        if tuple(images.shape[1:]) != self.image_shape:
            raise CardError(
                f"{type(self).__name__}._sample returned images of shape {tuple(images.shape[1:])}, not "
                f"{self.image_shape}"
            )
        rng.tell(1, 1)
        return images

    def _watch(self, progress: Progress | None, at: int, end: int, n: int) -> Progress | None:
        """Return the callback that reports to `progress` for the batch of the images `at` … `end` - 1 of `n`,
        whatever its steps.
        """
        if progress is None:
            return None
        pixels, size = math.prod(self.image_shape[1:]), end - at
        return lambda done, total: progress((at * total + size * done) * pixels // total, n * pixels)

    @abstractmethod
    @conditional
    def _sample(self, rng: Rng, *condition: Tensor) -> Tensor:
        """Return `rng.n` images (n, C, H, W) in [0, 1]; all randomness comes from `rng`, one stream per
        image.

        A conditional class writes `_sample(self, rng, condition)`, with one row of `condition` per image.
        """


class Draw(NamedTuple):
    """A checked request for samples: their number, their seed, the condition of each, if there is one, and
    the number of the first within the seed.
    """

    n: int
    seed: int
    given: tuple[Tensor, ...]
    first: int = 0


def check_progress(progress: Any) -> Progress | None:
    """Return `progress` if it is None or can be called, or raise ArgumentError."""
    if progress is not None and not callable(progress):
        raise ArgumentError(
            f"progress must be a function of (done, total), not {safe_repr(progress)}",
            "for example progress=print",
        )
    return progress  # type: ignore[no-any-return]


def check_memory(n: int, each: int, hint: str = "ask for fewer") -> None:
    """Raise ArgumentError if `n` items of `each` bytes exceed this machine's memory."""
    need, have = n * each, _memory()
    if need > have:
        raise ArgumentError(
            f"n={n} would need {need / 2**30:,.1f} GiB, but this machine has {have / 2**30:,.1f} GiB", hint
        )


def in_chunks(function: Callable[..., Tensor], size: int, *values: Tensor) -> Tensor:
    """Return `function(*values)` computed `size` rows at a time, the last chunk filled up with zeros.

    A convolution may sum in another order for another batch size; this way the same row gives the same bits
    alone or in a batch.
    """
    chunks = zip(*(value.split(size) for value in values), strict=True)
    return torch.cat([function(*(filled(part, size) for part in parts))[: len(parts[0])] for parts in chunks])


def filled(rows: Tensor, size: int, before: int = 0) -> Tensor:
    """Return `rows` with `before` rows of zeros ahead of them and as many after the last as make them
    `size`.
    """
    missing = size - before - len(rows)
    if not missing and not before:
        return rows
    return torch.cat(
        [rows.new_zeros(before, *rows.shape[1:]), rows, rows.new_zeros(missing, *rows.shape[1:])]
    )


def _memory() -> int:
    """Return this machine's memory in bytes (2^36 if unknown)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**36
