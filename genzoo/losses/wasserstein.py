"""The Wasserstein game (Arjovsky, Chintala & Bottou 2017, equation 2) and the gradient penalty (Gulrajani et
al. 2017, equation 3).

    min over G, max over 1-Lipschitz f:   E_x[f(x)] - E_z[f(G(z))] = W(p, q)

The critic f returns any number, not a probability. Unbounded, it would only grow steeper, so its slope is
bounded: by clipping its weights to [-c, c], which bounds its slope somewhere, or by the penalty λ E[(‖∇f(x̂)‖
- 1)²] on points x̂ between real and fake images. `real`, `fake` and `generator` return the loss for each
output of the critic, of any shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor


def real(value: Tensor) -> Tensor:
    """Return -f: the critic's loss for each real image."""
    return -value


def fake(value: Tensor) -> Tensor:
    """Return f: the critic's loss for each fake. Minus the sum of both means estimates the distance."""
    return value


def generator(value: Tensor) -> Tensor:
    """Return -f: G's loss for each fake."""
    return -value


def between(real_images: Tensor, fake_images: Tensor, share: Tensor) -> Tensor:
    """Return ε x + (1 - ε) x̃ for `share` ε (N,) in [0, 1], one per pair of images: points on the lines from
    fakes to real images.

    One ε for the whole batch would make all points of a turn equally real. They are detached, since G must
    not minimise the penalty.
    """
    weights = share.view(-1, *[1] * (real_images.ndim - 1))  # (N, 1, 1, 1)
    return torch.lerp(fake_images.detach().to(real_images), real_images.detach(), weights)


def slopes(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Return ‖∇f(x)‖ (N,), the norm of the critic's gradient over all pixels of each of `points` (N, C, H,
    W); differentiable in f.

    `critic` maps images to one number each, (N,), which must depend on its own image alone: the gradient of
    their sum is then each image's own. Under batch norm it is not, and the slope at one image is undefined.
    """
    points = points.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    exact = torch.promote_types(gradient.dtype, torch.float32)  # bf16 has not the digits for a sum of squares
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1, dtype=exact)
    return norms


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real_images: Tensor, fake_images: Tensor, share: Tensor
) -> Tensor:
    """Return E[(‖∇f(x̂)‖ - 1)²], a scalar: 0 if the critic's slope is exactly 1 everywhere between real and
    fake.

    One ε of `share` (N,) and one norm per image. Slopes are per unit of the images given, here in [0, 1].
    """
    return ((slopes(critic, between(real_images, fake_images, share)) - 1) ** 2).mean()


def r1(critic: Callable[[Tensor], Tensor], real_images: Tensor, fake_images: Tensor, share: Tensor) -> Tensor:
    """Return ½ E[‖∇D(x)‖²] at real images, a scalar (Mescheder et al. 2018, arXiv:1801.04406, equation 9).

    D is drawn to be flat where the data are, so that training comes to rest where G has found them.
    """
    return (slopes(critic, real_images) ** 2).mean() / 2


def r2(critic: Callable[[Tensor], Tensor], real_images: Tensor, fake_images: Tensor, share: Tensor) -> Tensor:
    """Return ½ E[‖∇D(G(z))‖²] at fakes, a scalar (the same, equation 10)."""
    return (slopes(critic, fake_images) ** 2).mean() / 2


def r1_r2(
    critic: Callable[[Tensor], Tensor], real_images: Tensor, fake_images: Tensor, share: Tensor
) -> Tensor:
    """Return the sum of `r1` and `r2`, as R3GAN has it (Huang et al. 2024, arXiv:2501.05441)."""
    return r1(critic, real_images, fake_images, share) + r2(critic, real_images, fake_images, share)


def clip(weights: Iterable[Tensor], bound: float) -> None:
    """Clip every component of `weights` to [-bound, bound], in place: |w| ≤ c."""
    with torch.no_grad():
        for weight in weights:
            weight.clamp_(-bound, bound)


# of (critic, real images, fakes, a share in [0, 1] for each pair) → a scalar
Penalty = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor], Tensor]
PENALTIES: Mapping[str, Penalty] = {"gradient": gradient_penalty, "r1": r1, "r2": r2, "r1-r2": r1_r2}
