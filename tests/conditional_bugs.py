"""Honest conditional models of the other families, and what people write by mistake: each of BUGS breaks one
law."""

from __future__ import annotations

import torch
from conditional_toys import LabelBernoulli, LabelConfig, LabelGAN
from torch import nn
from torch.nn.functional import pad, softplus

from genzoo import Labels
from genzoo.errors import ArgumentError
from genzoo.losses.elbo import elbo, kl, log_weight, reparametrise
from genzoo.models import AutoregressiveModel, DensityModel, EncodingModel, ImportanceModel, Posterior
from genzoo.rng import Rng, generator
from genzoo.training import Player


class ZeroGAN(LabelGAN):
    """Honest, but its labels start at zero: it hears nothing of them before it is trained."""

    def __init__(self, config):
        super().__init__(config)
        for net in (self.generator, self.discriminator):
            nn.init.zeros_(net[0].weight)


class LabelChain(AutoregressiveModel):
    """p(x|c) = Π p(x_i | x_{i-1}, c) of black and white pixels."""

    Config, condition_type, levels = LabelConfig, Labels, 2

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.slope = nn.Parameter(0.3 * torch.randn(len(config.labels), 2))
        self.bias = nn.Parameter(torch.zeros(len(config.labels), 2))

    def _predict(self, x, condition):
        channels, height, width = self.image_shape
        before = pad(x.permute(0, 2, 3, 1).flatten(1), (1, -1))
        logits = self.bias[condition][:, None] + before[:, :, None] * self.slope[condition][:, None]
        return logits.view(-1, height, width, channels, 2).permute(0, 4, 3, 1, 2)

    def _log_mass(self, params, level):
        return params.log_softmax(1).gather(1, level[:, None])[:, 0]

    def _quantile(self, params, u):
        return (params.softmax(1).cumsum(1) <= u[:, None]).sum(1).clamp(max=1)


class LabelVAE(DensityModel, EncodingModel):
    """Black and white pixels; encoder and decoder have the label beside what they take."""

    Config, condition_type, levels, exact = LabelConfig, Labels, 2, False

    def __init__(self, config):
        super().__init__()
        self.config = config
        pixels, latents = torch.Size(config.image_shape).numel(), config.latent_size
        self.into = nn.Linear(pixels, 2 * latents)
        self.out = nn.Linear(latents, pixels)
        self.told = nn.Embedding(len(config.labels), 2 * latents)
        self.said = nn.Embedding(len(config.labels), pixels)

    def _encode(self, x, condition):
        return Posterior(*(self.into(x.flatten(1)) + self.told(condition)).chunk(2, 1))

    def logits(self, z, condition):
        return (self.out(z) + self.said(condition)).unflatten(-1, self.image_shape)

    def _decode(self, z, condition):
        return self.logits(z, condition).sigmoid()

    def _log_prob(self, x, condition):
        mean, log_var = self._encode(x, condition)
        z = reparametrise(mean, log_var, Rng(0, 0, 4).normal(1, self.latent_size))
        logits = self.logits(z, condition)
        likelihood = -softplus(-(2 * x - 1) * logits).sum((2, 3, 4)).mean(0)
        return elbo(likelihood, kl(mean, log_var))

    def _sample(self, rng, condition):
        images = self._decode(self._latents(rng), condition)
        return (rng.uniform(*self.image_shape) < images).float()


class LabelWeights(LabelVAE, ImportanceModel):
    """The same with weights, whose draws are those of the image, not of its label."""

    def _log_weights(self, x, k, seed, condition):
        mean, log_var = self._encode(x, condition)
        streams = [generator(seed, *map(int, image.flatten())) for image in x]
        for _ in range(k):
            noise = torch.stack([torch.randn(self.latent_size, generator=stream) for stream in streams])
            z = reparametrise(mean, log_var, noise[None])
            likelihood = -softplus(-(2 * x - 1) * self.logits(z, condition)).sum((2, 3, 4))
            yield log_weight(likelihood, z, mean, log_var)


def same(condition):
    return torch.zeros_like(condition)


def first(condition):
    return condition[:1].expand_as(condition)


def shuffled(condition):
    return condition.roll(1)


def _of(kind, method, change):
    """Return `kind` whose `method` gets its condition, the last argument, changed."""
    honest = getattr(kind, method)

    def changed(self, *arguments):
        *others, condition = arguments
        return honest(self, *others, change(condition))

    return type(f"{kind.__name__}{method}", (kind,), {method: changed})


class Shifted(LabelGAN):
    """D adds a number for the label, whatever the image is: it has nothing to teach."""

    def _discriminate(self, x, condition):
        embed, net = self.discriminator
        return net(2 * x - 1) + 9 * embed(condition).sum(1)


class Faint(LabelGAN):
    """The label enters, but not before the digits that float32 has."""

    def _decode(self, z, condition):
        embed, net = self.generator
        return net((z + 1e-9 * embed(condition))[:, :, None, None])


class OwnZ(LabelGAN):
    """A seed of its own for each label."""

    def _sample(self, rng, condition):
        z = torch.cat([self._latents(Rng(rng.seed + int(c), i, 1)) for i, c in enumerate(condition)])
        return self._decode(z, condition)


class SkippingZ(LabelGAN):
    """As many numbers are skipped as the label says."""

    def _sample(self, rng, condition):
        rng.uniform(1 + int(condition[0]))
        return super()._sample(rng, condition)


class MovedZ(LabelGAN):
    """Samples have another z than sample_latents says."""

    def _sample(self, rng, condition):
        return self._decode(self._latents(rng) + condition[:, None], condition)


class Unnormalised(LabelBernoulli):
    """Σ p(x|c) is 1 but for the second label."""

    def _log_prob(self, x, condition):
        return super()._log_prob(x, condition) + 0.1 * (condition == 1)


class Overdrawn(LabelGAN):
    """The images of the last label leave [0, 1]."""

    def _decode(self, z, condition):
        return super()._decode(z, condition) * (1 + 2.0 * (condition == 2))[:, None, None, None]


class Lenient(Labels):
    """Takes whatever it is given."""

    def number(self, value):
        return 0 if value is None or value != value else hash(str(value)) % len(self)


class Mute(Labels):
    """Its errors do not say what there is."""

    def number(self, value):
        try:
            return super().number(value)
        except Exception as error:
            raise ArgumentError("wrong label") from error


class Unwritten(Labels):
    """Its examples are tensors, which golden outputs cannot hold."""

    def examples(self, n):
        return [torch.tensor(number) for number in super().examples(n)]


def _with(condition):
    return type(f"{condition.__name__}Bernoulli", (LabelBernoulli,), {"condition_type": condition})


OWN_ROW = "has the condition of its own row"
BUGS = {
    "a generator without the label": (
        _of(LabelGAN, "_decode", same),
        "another condition gives another sample",
    ),
    "a label lost in rounding": (Faint, "another condition gives another sample"),
    "a discriminator without the label": (
        _of(LabelGAN, "_discriminate", same),
        "another condition gives another logit",
    ),
    "a discriminator that adds the label": (Shifted, "another condition gives another logit"),
    "a generator that shuffles": (_of(LabelGAN, "_decode", shuffled), OWN_ROW),
    "a discriminator that shuffles": (_of(LabelGAN, "_discriminate", shuffled), OWN_ROW),
    "one label for a batch of samples": (_of(LabelGAN, "_sample", first), OWN_ROW),
    "one label for a batch that is decoded": (_of(LabelGAN, "_decode", first), OWN_ROW),
    "one label for a batch that is judged": (_of(LabelGAN, "_discriminate", first), OWN_ROW),
    "one label for a batch of likelihoods": (_of(LabelBernoulli, "_log_prob", first), OWN_ROW),
    "one label for a batch of codes": (_of(LabelVAE, "_encode", first), OWN_ROW),
    "one label for a batch of completions": (_of(LabelChain, "_complete", first), OWN_ROW),
    "one label for a batch of weights": (_of(LabelWeights, "_log_weights", first), OWN_ROW),
    "weights without the label": (_of(LabelWeights, "_log_weights", same), "gives another bound"),
    "a likelihood without the label": (_of(LabelBernoulli, "_log_prob", same), "gives another log p"),
    "a decoder without the label": (_of(LabelVAE, "_decode", same), "gives another (sample|decoded)"),
    "samples without the label": (_of(LabelBernoulli, "_sample", same), "gives another sample"),
    "a network without the label": (_of(LabelChain, "_predict", same), "gives another sample"),
    "a seed for each label": (OwnZ, "not on its condition"),
    "numbers skipped by label": (SkippingZ, "not on its condition"),
    "a z that the label moves": (MovedZ, "that of the seed's z"),
    "pixels out of range under one label": (Overdrawn, "under every condition"),
    "a condition that takes anything": (_with(Lenient), "a wrong condition is an error"),
    "errors that do not say what there is": (_with(Mute), "a wrong condition is an error"),
    "examples that no file can hold": (_with(Unwritten), "that JSON can hold"),
}


def game_of(model, on_images=lambda c: c, on_fakes=lambda c: c, in_generator=lambda c: c):
    """The two players of a conditional GAN; the functions are what becomes of the labels on their way."""

    def drawn(batch, noise):
        z = torch.randn(len(batch), model.latent_size, generator=noise)
        return model._decode(z, *batch.given)

    def discriminator(batch, noise):
        real = model._discriminate(batch.images, on_images(batch.condition))
        fake = model._discriminate(drawn(batch, noise).detach(), on_fakes(batch.condition))
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(batch, noise):
        return softplus(-model._discriminate(drawn(batch, noise), in_generator(batch.condition))).mean()

    return [
        Player(name="discriminator", module=model.discriminator, loss=discriminator),
        Player(name="generator", module=model.generator, loss=generator, fresh=False),
    ]
