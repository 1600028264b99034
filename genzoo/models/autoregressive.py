"""AutoregressiveModel: p(x) as a product of conditionals, one for each dimension given all earlier ones.

The order is the raster scan, row by row from the top left, and channels in turn (R, G, B) within a pixel.
Exact likelihood, sampling and completion are implemented here once for every such model; a plugin defines how
the conditionals are computed and their family.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from genzoo.devices import widest
from genzoo.errors import ArgumentError
from genzoo.images import as_tensor
from genzoo.layers.plain import is_stock
from genzoo.manner import Manner
from genzoo.models.conditions import conditional
from genzoo.models.density import DensityModel
from genzoo.models.manner import check_manner, in_manner
from genzoo.models.model import Progress, check_count, check_memory, check_progress, in_chunks, public
from genzoo.rng import Rng, check_seed

MOST_LEVELS = 256


class AutoregressiveModel(DensityModel):
    """Exact density by the chain rule: log p(x) = Σ log p(x_i | x_1 … x_{i-1}), with every dimension counted
    exactly once.

    A subclass writes `_predict` (parameters of every conditional at once), `_log_mass` and `_quantile` (what
    the parameters mean), and may replace `_complete` with a faster version that gives the same images as
    `_complete_naively`.
    """

    exact: ClassVar[bool] = True
    in_order: ClassVar[bool] = True
    cools: ClassVar[bool] = False  # its own `_complete` draws with `_level`, and so obeys a temperature

    @property
    @abstractmethod
    def levels(self) -> int:
        """The number of values that a dimension can take, 2 … 256; level k is the intensity k / (levels -
        1).
        """

    @property
    def full_context(self) -> bool:
        """Whether every dimension sees every earlier one: True is a claim, which the certificate checks."""
        return False

    @public
    def complete(
        self,
        x: Any,
        mask: Any,
        n: int = 1,
        seed: int | torch.Generator | None = None,
        *,
        condition: Any = None,
        temperature: float | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return `n` completions (N, n, C, H, W) of each image x (N, C, H, W): where `mask` is True the image
        is kept, elsewhere drawn.

        Dimensions are drawn in raster order given all earlier ones, observed or drawn; later dimensions do
        not influence a drawn one (that would need the posterior, which no autoregressive model provides). For
        a mask that is True on a prefix of the scan, an upper half for example, completions are exact samples
        of p(rest | prefix).

        Args:
            x: images; values where the mask is False are ignored, but must be valid.
            mask: bool, (H, W), (N, H, W), (N, 1, H, W) or (N, C, H, W).
            n: completions of each image.
            seed: completion j of image i is a function of (seed, i·n + j), so `complete` with nothing
                observed equals `sample`.
            condition: of a conditional model, the condition of each image x, or one for all.
            temperature: T; each level is drawn with a probability proportional to p(level | earlier
                dimensions)^(1/T), as in `sample`. With T other than 1, completions are no draws from p(rest |
                prefix).
            progress: called with (done, total) in pixels.

        Raises:
            ArgumentError: images, mask, n, seed or temperature of a wrong shape, type or range; observed
                values that are not levels of the model; a missing, invalid or superfluous condition.
            UnknownNameError: a label that does not exist.
        """
        manner = check_manner(self, Manner(temperature=temperature))
        return in_manner(self, manner)._completions(x, mask, n, seed, condition, check_progress(progress))

    @public
    def complete_with_log_prob(
        self,
        x: Any,
        mask: Any,
        n: int = 1,
        seed: int | torch.Generator | None = None,
        *,
        condition: Any = None,
    ) -> tuple[Tensor, Tensor]:
        """Return `complete(x, mask, n, seed, condition=condition)` and log p of each whole completed image,
        in nats, (N, n).

        `completion_log_prob` gives the share of the drawn part. If a prefix of the scan is kept, the rest of
        log p is the same for all completions of an image, so both rank them alike.
        """
        images = self._completions(x, mask, n, seed, condition, None)
        given = [rows.repeat_interleave(n, 0) for rows in self.check_condition(condition, len(images))]
        values = in_chunks(self._log_prob_of, self.decode_chunk, images.flatten(0, 1), *given)
        return images, values.view(images.shape[:2])

    def _log_prob_of(self, x: Tensor, *condition: Tensor) -> Tensor:
        with self.asking() as model:
            return model._log_prob(x, *condition).float()

    @public
    def completion_log_prob(self, x: Any, mask: Any, *, condition: Any = None) -> Tensor:
        """Return Σ log p(x_i | x_1 … x_{i-1}) over the dimensions where `mask` is False, in nats, (N,).

        This is the log-probability with which `complete` draws exactly these values. For a mask that is True
        on a prefix of the scan, an upper half for example, it is log p(rest | kept). For other masks it is
        not, because kept values do not influence dimensions drawn before them; `log_prob(x)` of the whole
        image is exact for every mask. With everything kept it is 0, with nothing kept `log_prob(x)`.

        Args:
            x: completed images (N, C, H, W), or any others.
            mask: as for `complete`.
            condition: as for `complete`.

        Raises:
            ArgumentError: images or mask of a wrong shape, type or range; values that are not levels of the
                model; a missing, invalid or superfluous condition.
            UnknownNameError: a label that does not exist.
        """
        images = self.check_images(x)
        kept = self._check_mask(mask, len(images))
        given = self.check_condition(condition, len(images))
        with self.asking() as model:
            return torch.where(kept, 0, model._log_conditionals(images, *given)).sum((1, 2, 3)).float()

    def check_levels(self, x: Tensor, what: str = "x") -> Tensor:
        """Return the level of each value of `x` in [0, 1] as int64, or raise ArgumentError if a value is not
        a level.

        With 256 levels every value is rounded to the nearest level, which is lossless for 8-bit images.
        """
        scaled = x.detach() * (self.levels - 1)
        level = scaled.round()
        checking = self.levels < MOST_LEVELS and not is_stock()  # a branch on values stops torch.export
        if checking and bool(((scaled - level).abs() > 1e-3).any()):
            raise ArgumentError(
                f"{what} holds values that are not among the {self.levels} levels of this model",
                self._remedy(what),
            )
        return level.long()

    def _remedy(self, what: str) -> str:
        if self.levels == 2:
            return (
                f"binarise first: ({what} > 0.5).float() keeps strokes and drops their grey edges, "
                f"torch.bernoulli({what}) draws each "
                "pixel black or white by its grey; their likelihoods are not comparable"
            )
        return f"quantise first: ({what} * {self.levels - 1}).round() / {self.levels - 1}"

    @property
    def _dtype(self) -> torch.dtype:
        return next((p.dtype for p in self.parameters()), torch.float32)

    def _completions(
        self,
        x: Any,
        mask: Any,
        n: int,
        seed: int | torch.Generator | None,
        condition: Any,
        progress: Progress | None,
    ) -> Tensor:
        images = self.check_images(x)
        given = self.check_condition(condition, len(images))
        observed = self._check_mask(mask, len(images))
        count, start = check_count(n), check_seed(seed)
        check_memory(len(images) * count, 8 * images[0].numel() if len(images) else 0)
        images = torch.where(observed, images, 0)
        self.check_levels(images)
        total, chunk = len(images) * count, self.decode_chunk
        done = []
        for first in range(0, total, chunk):
            # Always a whole chunk, as in `sample`: a completion must not depend on how many others are asked
            # for.
            owner = (torch.arange(first, first + chunk, device=self.device) // count).clamp(
                max=len(images) - 1
            )
            with torch.inference_mode(), self.asking() as model:
                rng = Rng(
                    start,
                    first,
                    chunk,
                    self.device,
                    self._watch(progress, first, min(first + self.decode_chunk, total), total),
                )
                own = [rows[owner] for rows in given]
                drawn = model._drawing(images[owner], observed[owner], rng, *own)
                rng.tell(1, 1)
                done.append(
                    torch.where(observed[owner], images[owner], drawn.float().clamp(0, 1))[: total - first]
                )
        joined = torch.cat(done) if done else images.clone()
        return joined.view(len(images), count, *self.image_shape)

    def _check_mask(self, mask: Any, n: int) -> Tensor:
        channels, height, width = self.image_shape
        found = as_tensor(mask, "mask") if not isinstance(mask, Tensor) else mask
        if found.dtype != torch.bool:
            raise ArgumentError(
                f"mask must be bool, True where x is observed, not {found.dtype}", "for example mask > 0"
            )
        fits = {(height, width), (n, height, width), (n, 1, height, width), (n, channels, height, width)}
        if tuple(found.shape) not in fits:
            wanted = (
                f"({height}, {width}), ({n}, {height}, {width}), ({n}, 1, {height}, {width}) or "
                f"({n}, {channels}, {height}, {width})"
            )
            raise ArgumentError(
                f"mask must have the shape {wanted}, not {tuple(found.shape)}", "one True or False per pixel"
            )
        full = found[:, None] if found.ndim == 3 else found
        return full.to(self.device).expand(n, channels, height, width)

    def _log_prob(self, x: Tensor, *condition: Tensor) -> Tensor:
        return self._log_conditionals(x, *condition).sum((1, 2, 3))

    def _log_conditionals(self, x: Tensor, *condition: Tensor) -> Tensor:
        """Return log p of each dimension given all earlier ones, (N, C, H, W), in nats; differentiable."""
        return self._log_mass(self._predict(x, *condition), self.check_levels(x))

    def _sample(self, rng: Rng, *condition: Tensor) -> Tensor:
        nothing = torch.zeros(rng.n, *self.image_shape, device=self.device)
        return self._drawing(nothing, nothing.bool(), rng, *condition)

    @property
    def _drawing(self) -> Callable[..., Tensor]:
        """`_complete`, or `_complete_naively` at a temperature that the class's own way may not know."""
        plain = self.cools or self._manner.temperature in (None, 1)
        return self._complete if plain else self._complete_naively

    @conditional
    def _complete(self, x: Tensor, mask: Tensor, rng: Rng, *condition: Tensor) -> Tensor:
        """Return images (n, C, H, W) that equal `x` where `mask` is True; elsewhere each dimension is drawn
        with one number of `rng.uniform(H, W, C)`.

        A faster version must give exactly the images of `_complete_naively`.
        """
        return self._complete_naively(x, mask, rng, *condition)

    @conditional
    def _complete_naively(self, x: Tensor, mask: Tensor, rng: Rng, *condition: Tensor) -> Tensor:
        """The reference: one pass of the whole network for every dimension."""
        channels, height, width = self.image_shape
        uniforms = rng.uniform(height, width, channels)
        images = torch.where(mask, x, 0).to(self._dtype)
        for row in range(height):
            for column in range(width):
                for channel in range(channels):
                    params = self._predict(images, *condition)[:, :, channel, row, column]
                    value = self._level(params, uniforms[:, row, column, channel]).to(images.dtype) / (
                        self.levels - 1
                    )
                    here = (slice(None), channel, row, column)
                    images[here] = torch.where(mask[here], images[here], value)
                rng.tell(row * width + column + 1, height * width)
        return images

    def _level(self, params: Tensor, u: Tensor) -> Tensor:
        """Return the level (N,) that `u` (N,) draws under the parameters (N, P): `_quantile`, or at another
        temperature T that of the distribution p(level)^(1/T) / Σ p(level)^(1/T). Samplers call this.
        """
        temperature = self._manner.temperature
        if temperature is None or temperature == 1:
            return self._quantile(params, u)
        cooled = (self._log_masses(params).to(widest(params.device)) / temperature).softmax(1)
        # the last level takes the rest
        return (cooled[:, :-1].cumsum(1) <= u[:, None]).sum(1)

    def _log_masses(self, params: Tensor) -> Tensor:
        """Return log p of every level, (N, levels), under the parameters (N, P).

        It follows from `_log_mass`; a class may replace it by something faster.
        """
        n, levels = len(params), self.levels
        every = torch.arange(levels, device=params.device).view(1, 1, 1, levels).expand(n, 1, 1, levels)
        spread = params[:, :, None, None, None].expand(*params.shape, 1, 1, levels)  # (N, P, 1, 1, levels)
        return self._log_mass(spread, every).flatten(1)

    @abstractmethod
    @conditional
    def _predict(self, x: Tensor, *condition: Tensor) -> Tensor:
        """Return the parameters of every conditional, (N, P, C, H, W), of images in [0, 1]; differentiable.

        Entry (c, h, w) may depend on earlier dimensions only. A conditional class writes `_predict(self, x,
        condition)`, and its `_complete` if it has one, with the condition last.
        """

    @abstractmethod
    def _log_mass(self, params: Tensor, level: Tensor) -> Tensor:
        """Return log p(level) in nats, (N, C, H, W), under the parameters `params` (N, P, C, H, W);
        differentiable in them.
        """

    @abstractmethod
    def _quantile(self, params: Tensor, u: Tensor) -> Tensor:
        """Return the level (N,) at which the distribution function first exceeds `u` (N,), under the
        parameters `params` (N, P).
        """
