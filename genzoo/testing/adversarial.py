"""Laws of a model that is trained against a discriminator."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from genzoo.models import AdversarialModel
from genzoo.rng import Rng
from genzoo.testing.generative import near, untouched
from genzoo.testing.given import first_given
from genzoo.testing.law import hold


@first_given
def check_adversarial(model: AdversarialModel) -> None:
    """Check an adversarial model: two networks without shared weights, and a discriminator that returns one
    logit per image, with a gradient.

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(
        isinstance(model, AdversarialModel),
        "check_adversarial is for an AdversarialModel",
        name,
        "its base classes",
    )
    _check_networks(model, name)
    noise = Rng(0, 0, 4).uniform(*model.image_shape).float().to(model.device)
    with untouched(model, f"{name}._discriminate"), model.evaluating():
        _check_discriminate(model, noise, f"{name}._discriminate")
    _check_logits(model, noise, f"{name}._discriminate")


def _check_networks(model: AdversarialModel, name: str) -> None:
    for part in ("generator", "discriminator"):
        network = getattr(model, part, None)
        law = f"an adversarial model has a network named {part}"
        hold(isinstance(network, nn.Module), law, repr(network), f"self.{part} in {name}.__init__")
    ours = {id(parameter) for parameter in model.generator.parameters()}
    shared = [key for key, parameter in model.discriminator.named_parameters() if id(parameter) in ours]
    hold(
        not shared,
        "generator and discriminator share no weights",
        f"both have {', '.join(shared[:3])}",
        f"{name}.__init__",
    )


def _check_discriminate(model: AdversarialModel, noise: Tensor, look: str) -> None:
    asked = noise.clone().requires_grad_(True)
    logits = model._discriminate(asked, *model.check_condition(None, len(asked)))
    law = "the discriminator gives one finite logit per image"
    hold(logits.shape == (len(noise),), law, f"the shape {tuple(logits.shape)} for {len(noise)} images", look)
    hold(torch.isfinite(logits).all(), law, "NaN or infinite values", look)
    near(
        model._discriminate(noise[:1], *model.check_condition(None, 1)),
        logits[:1],
        logits,
        "a logit depends on its own image alone",
        f"batch statistics in {look}",
    )
    law = "gradients flow from the logit to the image"  # without one the generator learns nothing
    hold(logits.requires_grad, law, "no gradient at all", f"{look}: no_grad, detach or numpy in it")
    (slope,) = torch.autograd.grad(logits.sum(), asked, allow_unused=True)
    hold(slope is not None and slope.abs().max() > 0, law, "a gradient of zero", look)


def _check_logits(model: AdversarialModel, noise: Tensor, look: str) -> None:
    """Check that the output is a logit: scaled weights push it out of [-1, 1], where the output of a sigmoid
    or tanh always stays. The images are scaled as well, for weights that are normalised at every call.
    """
    louder = copy.deepcopy(model)
    largest, given = 0.0, model.check_condition(None, len(noise))
    with torch.no_grad(), louder.evaluating():
        for _ in range(4):
            for parameter in louder.discriminator.parameters():
                parameter.mul_(10)
            noise = 10 * noise
            largest = max(largest, float(louder._discriminate(noise, *given).abs().max()))
    seen = f"at most {largest:.3g} however large the weights"
    hold(
        largest > 1,
        "the discriminator returns logits, not probabilities",
        seen,
        f"{look}: drop the last sigmoid, the losses have it",
    )
