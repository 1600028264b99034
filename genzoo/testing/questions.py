"""What a conditional model can be asked about a few images, with one condition for all or one for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.models import (
    AdversarialModel,
    AutoregressiveModel,
    DensityModel,
    EncodingModel,
    GenerativeModel,
    ImportanceModel,
    LatentModel,
    Model,
    Posterior,
)
from genzoo.rng import Rng
from genzoo.testing.present import suited_noise

ROWS = 6  # images that a question is about


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question about ROWS images.

    Attributes:
        what: what the answer is, in a word or two.
        method: the author's method that answers it.
        ask: (model, condition) → the answer, (ROWS, …).
        listens: whether another condition must give another answer.
        centred: whether it must do so for each image differently.
    """

    what: str
    method: str
    ask: Callable[[Any, Any], Tensor]
    listens: bool = True
    centred: bool = False


def questions(model: Model) -> list[Question]:
    """Return what `model` can be asked, always about the same images, latents and seeds."""
    return list(_questions(model, suited_noise(model, ROWS)))


def _questions(model: Model, x: Tensor) -> Iterator[Question]:
    if isinstance(model, GenerativeModel):
        yield Question(what="sample", method="_sample", ask=lambda m, c: m.sample(ROWS, seed=0, condition=c))
    if isinstance(model, LatentModel):
        z = model.sample_latents(ROWS, seed=0)
        yield Question(what="decoded image", method="_decode", ask=lambda m, c: m.decode(z, c))
    if isinstance(model, EncodingModel):
        # an encoder may do without it: the decoder has it as well
        yield Question(what="code", method="_encode", ask=lambda m, c: _code(m, x, c), listens=False)
    if isinstance(model, DensityModel):
        yield Question(what="log p", method="_log_prob", ask=lambda m, c: m.log_prob(x, c))
    if isinstance(model, ImportanceModel):
        yield Question(what="bound", method="_log_weights", ask=lambda m, c: m.iwae(x, 3, condition=c).bound)
    if isinstance(model, AutoregressiveModel):
        kept = torch.arange(x.shape[2], device=x.device)[:, None].expand(x.shape[2:]) < x.shape[2] // 2
        yield Question(
            what="completion",
            method="_complete",
            ask=lambda m, c: m.complete(x, kept, seed=0, condition=c)[:, 0],
        )
    if isinstance(model, AdversarialModel):
        noise = Rng(0, 0, ROWS).uniform(*model.image_shape).float().to(model.device)
        yield Question(
            what="logit of the discriminator",
            method="_discriminate",
            ask=lambda m, c: _logits(m, noise, c),
            centred=True,
        )


def _code(model: EncodingModel, x: Tensor, condition: Any) -> Tensor:
    found = model.encode(x, condition)
    return torch.cat(tuple(found), 1) if isinstance(found, Posterior) else found


def _logits(model: AdversarialModel, x: Tensor, condition: Any) -> Tensor:
    given = model.check_condition(condition, len(x))
    with model.asking() as asked:
        return asked._discriminate(x, *given).float()
