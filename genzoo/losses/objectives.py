"""The objectives of the adversarial game by name: what each player pays for one number of the discriminator.

Any of them goes with any nets, `genzoo train NAME --set objective=hinge`. With D optimal on discrete p (data)
and q (fakes), the discriminator's loss tells how far q is from p: of `minimax` and `non-saturating` it is log
4 - 2 JSD, of `lsgan` ¼ (1 - χ²), of `hinge` 2 (1 - TV), and of `wasserstein` -W, if D is held to a slope of
1.
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
    """An adversarial objective. Costs are elementwise and differentiable: numbers of D of any shape → what is
    paid for each.

    Attributes:
        real: what D pays for a real image.
        fake: what D pays for a fake. `(1 - s) * real(a) + s * fake(a)` is what it pays for an image labelled
            real but for a share s.
        generator: what G pays for a fake.
        bounded: whether D's loss has a least value, 0; if not (Wasserstein), D must be held by other means.
    """

    real: Cost
    fake: Cost
    generator: Cost
    bounded: bool = True

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the scalar that D minimises, from its numbers of real and of fake images, averaged over
        each.
        """
        return self.real(real).mean() + self.fake(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the scalar that G minimises, from D's numbers of its images."""
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
