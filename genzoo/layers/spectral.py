"""Spectral normalisation (Miyato et al. 2018, arXiv:1802.05957): layers whose matrix has the largest singular
value 1.

The matrix W of a convolution is its weight as (outputs, inputs · height · width), one row for each map that
it makes, as in the paper's appendix. A call in training takes one step of power iteration before it computes
(algorithm 1):

    v ← Wᵀu / ‖Wᵀu‖      u ← Wv / ‖Wv‖      W̄ = W / σ      σ = ‖Wᵀu‖

u is a buffer, so that a checkpoint keeps it; in evaluation it is only read, and an output depends on its own
input alone. The paper keeps v too, and has σ = uᵀWv. Here v is computed from u, as the unit vector along Wᵀu,
which gives the same number and the same gradient u vᵀ. If u was averaged or rounded, it is scaled back, and
its error enters σ only squared. σ is at most the largest singular value, so that of W̄ falls to 1 from
above.

`weight` is W itself, which is trained and saved; every call divides it. So initial weights are set as in a
plain layer, and no step of an optimiser leaves the constraint. (The layers of torch have W under another
name, to which an initialiser of `weight` does not write; reading `weight` takes a step of power iteration;
and the product that gives σ mixes number formats under autocast.)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, normalize

from genzoo.layers.strided import StridedConv2d

WARM_UP = 30  # steps of power iteration from a random u
_MATRICES = (nn.modules.conv._ConvNd, nn.Linear, nn.Embedding)
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
_LEAST = 1e-12  # of σ and of norms: a matrix of zeros stays one


class SpectralNorm(nn.Module):
    """What the layers of this module share: the buffer `u` (outputs,), and W̄ of their `weight`."""

    weight: Tensor
    u: Tensor

    def _begin(self) -> None:
        """Draw u at random and warm it up: the end of `__init__`."""
        start = torch.randn(len(self.weight), dtype=self.weight.dtype, device=self.weight.device)
        self.register_buffer("u", normalize(start, dim=0))
        self.warm_up()

    def warm_up(self, steps: int = WARM_UP) -> None:
        """Bring u to the weight as it is now, with `steps` of power iteration: after new initial weights."""
        for _ in range(steps):
            self._iterate()

    @torch.no_grad()
    def _iterate(self) -> None:
        rows = _matrix(self.weight)
        found = rows @ normalize(rows.t() @ self.u.to(rows.dtype), dim=0, eps=_LEAST)
        size = found.norm()
        # of a matrix of zeros u would become zero, and stay so whatever the weights become
        self.u.copy_(torch.where(size > _LEAST, found / size.clamp(min=_LEAST), self.u.to(found.dtype)))

    def normalised(self) -> Tensor:
        """Return W̄, of the weight's shape, differentiable; in training after a step of power iteration."""
        # autocast would round W to bf16 before its norm is taken
        with torch.autocast(self.weight.device.type, enabled=False):
            if self.training:
                self._iterate()
            rows = _matrix(self.weight)
            # a tensor of its own: the next call changes u in place before this one's backward pass
            direction = normalize(self.u.to(rows.dtype, copy=True), dim=0, eps=_LEAST)
            sigma = (rows.t() @ direction).norm().clamp(min=_LEAST)
            divided: Tensor = self.weight / sigma.to(self.weight.dtype)
            return divided


class SpectralConv2d(StridedConv2d, SpectralNorm):
    """`StridedConv2d` with the weight W̄; see the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begin()

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out, H', W') of `input` (N, in, H, W), as the plain layer does with W̄."""
        return self._apply_weight(input, self.normalised())

    def settled(self) -> StridedConv2d:
        """Return the plain layer with W̄ as it is now, for computing many batches; it shares the bias."""
        plain = StridedConv2d.__new__(StridedConv2d)
        with torch.no_grad():
            weight = nn.Parameter(self.normalised())
        vars(plain).update(
            {**vars(self), "_parameters": {"weight": weight, "bias": self.bias}, "_buffers": {}}
        )
        return plain


class SpectralLinear(nn.Linear, SpectralNorm):
    """nn.Linear with the weight W̄; see the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begin()

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., out) of `input` (..., in)."""
        return linear(input, self.normalised(), self.bias)


class SpectralEmbedding(nn.Embedding, SpectralNorm):
    """nn.Embedding with the weight W̄ (Miyato & Koyama 2018); see the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begin()

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows (..., size) of the labels `input` (...)."""
        return embedding(input, self.normalised())


def bounds_slope(net: nn.Module) -> bool:
    """Return whether every matrix of `net` is normalised by a layer of this module, and no norm of maps
    divides by what may be small: with activations of slope at most 1 the slope of `net` is then bounded.
    """
    matrices = [module for module in net.modules() if isinstance(module, _MATRICES)]
    normed = any(isinstance(module, _NORMS) for module in net.modules())
    return bool(matrices) and not normed and all(isinstance(module, SpectralNorm) for module in matrices)


def _matrix(weight: Tensor) -> Tensor:
    """Return `weight` (out, ...) as (out, everything else), in float32 at least."""
    return weight.flatten(1).to(torch.promote_types(weight.dtype, torch.float32))
