"""The objectives of the adversarial game by name: each player's loss for one output of the discriminator.

Any of them works with any nets: `genzoo train NAME --set objective=hinge`. With D optimal on discrete p
(data) and q (fakes), the discriminator's loss measures how far q is from p: for `minimax` and
`non-saturating` it is log 4 - 2 JSD, for `lsgan` ¼ (1 - χ²), for `hinge` 2 (1 - TV), for `relativistic`
log 2 - JSD of the pairs, and for `wasserstein` -W, if D's slope is bounded by 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.losses import hinge, lsgan, minimax, relativistic, wasserstein

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
        relative: whether all three take differences of D's outputs, of a real image and a fake, pair by pair:
            of the first less the second for D, of the second less the first for G.
    """

    real: Cost
    fake: Cost
    generator: Cost
    bounded: bool = True
    relative: bool = False

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the scalar that D minimises, from its outputs for real images and fakes, averaging over
        each; a relative objective takes equally many.
        """
        if self.relative:
            return self.real(real - fake).mean()
        return self.real(real).mean() + self.fake(fake).mean()

    def generator_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return the scalar that G minimises, from D's outputs for its images, and for equally many real
        images if the objective is relative.
        """
        if not self.relative:
            return self.generator(fake).mean()
        if real is None:
            raise ArgumentError(
                "a relative objective compares each fake with a real image, but none were given",
                "generator_loss(fake, real)",
            )
        return self.generator(fake - real).mean()


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        "minimax": Objective(real=minimax.real, fake=minimax.fake, generator=minimax.minimax),
        "non-saturating": Objective(real=minimax.real, fake=minimax.fake, generator=minimax.non_saturating),
        "lsgan": Objective(real=lsgan.real, fake=lsgan.fake, generator=lsgan.generator),
        "hinge": Objective(real=hinge.real, fake=hinge.fake, generator=hinge.generator),
        "relativistic": Objective(
            real=relativistic.real, fake=relativistic.fake, generator=relativistic.generator, relative=True
        ),
        "wasserstein": Objective(
            real=wasserstein.real, fake=wasserstein.fake, generator=wasserstein.generator, bounded=False
        ),
    }
)
