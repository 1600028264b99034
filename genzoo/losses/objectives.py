"""The objectives of the adversarial game by name: each player's loss for one output of the discriminator.

Any of them works with any nets: `genzoo train NAME --set objective=hinge`. With D optimal on discrete p
(data) and q (fakes), the discriminator's loss measures how far q is from p: for `minimax` and
`non-saturating` it is log 4 - 2 JSD, for `lsgan` ¼ (1 - χ²), for `hinge` 2 (1 - TV), and for `wasserstein`
-W, if D's slope is bounded by 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from genzoo.losses import hinge, lsgan, minimax, wasserstein

Cost = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """An adversarial objective. Its functions are elementwise and differentiable: they map outputs of D, of
    any shape, to losses.

    Attributes:
        real: D's loss for a real image.
        fake: D's loss for a fake. `(1 - s) * real(a) + s * fake(a)` is its loss for an image with the soft
            label 1 - s.
        generator: G's loss for a fake.
        bounded: whether D's loss is bounded below by 0; if not (Wasserstein), D must be bounded by other
            means.
    """

    real: Cost
    fake: Cost
    generator: Cost
    bounded: bool = True

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the scalar that D minimises, from its outputs for real images and fakes, averaging over
        each.
        """
        return self.real(real).mean() + self.fake(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the scalar that G minimises, from D's outputs for its images."""
        return self.generator(fake).mean()


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        "minimax": Objective(real=minimax.real, fake=minimax.fake, generator=minimax.minimax),
        "non-saturating": Objective(real=minimax.real, fake=minimax.fake, generator=minimax.non_saturating),
        "lsgan": Objective(real=lsgan.real, fake=lsgan.fake, generator=lsgan.generator),
        "hinge": Objective(real=hinge.real, fake=hinge.fake, generator=hinge.generator),
        "wasserstein": Objective(
            real=wasserstein.real, fake=wasserstein.fake, generator=wasserstein.generator, bounded=False
        ),
    }
)
