"""Variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114), and the importance-weighted one (Burda et
al. 2016, arXiv:1509.00519).

Both are one model with different objectives. `k` = 1 maximises the ELBO with its KL in closed form, `k` > 1
the bound of k importance-weighted draws.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from genzoo import Recipe
from genzoo.errors import ArgumentError, TrainingError
from genzoo.losses import elbo
from genzoo.losses.likelihood import dimensions
from genzoo.models import EncodingModel, ImportanceModel, Posterior, layouts
from genzoo.rng import Rng, generator, mix
from genzoo.schema import limits
from genzoo.shares import drawn, mean
from genzoo.training import Batch, Player, players, warmth
from genzoo_vae import nets
from genzoo_vae.foreign import vae_layout
from genzoo_vae.likelihoods import KINDS, Likelihood

LOG_VARS = (-12.0, 12.0)  # of q(z|x): beyond, exp() serves nobody but a diverging run
ELBO_DRAWS = 16  # of z per image, averaged by log_prob
BLOCK = 50  # draws of z that importance sampling takes of one image at a time
COLLAPSED = 0.01  # nats per image: a q(z|x) so near the prior tells the decoder nothing
PATIENCE = 1000  # turns over which the KL must stay there; every VAE begins there
ROWS, VALUES = 4096, 2**21  # decodings in one pass, and pixels in them: what bounds the memory


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Config of a VAE and of its training objective.

    Attributes:
        image_shape: (C, H, W), any.
        latent_size: number of components of z.
        net: "mlp", tanh layers as in the papers; "conv", convolutions that halve the map; "hybrid", the
            encoder of "conv", which runs once per image, with a decoder cheap enough for thousands of draws;
            or "map", convolutions whose latents are a map, some for each 4 × 4 pixels, for many latents.
        width: units of a hidden layer; for "conv" and "hybrid" the channels of the first map, for "map" of
            all.
        depth: hidden layers; for "conv" and "hybrid" the residual blocks at each size, for "map" on either
            side.
        activation: of the hidden layers of "mlp": "tanh" as in the papers, or "relu" as in most ports.
        units: for "hybrid", of the hidden layer next to the latents, on either side.
        likelihood: of the pixels: "bernoulli" (black and white only), "gaussian" (one learned variance),
            "logistic" (8 bits) or "colours" (8 bits of red, green and blue that depend on each other).
        k: draws of the importance-weighted bound that is maximised; 1 is the ELBO.
        k_from: step of the run from which k draws are taken; before it the ELBO is maximised, which needs
            fewer decodings.
        draws: draws of z per image over which the ELBO is averaged in training: the same bound, with a less
            noisy gradient.
        path_gradient: whether the encoder learns through z alone, with less noise (Roeder et al. 2017; for k
            > 1 Tucker et al. 2019).
        beta: weight of the KL in the objective; 1 is a VAE. With any other value the training loss is not a
            bound.
        warmup: steps over which the weight of the KL goes linearly from `start_beta` to `beta`; 0 is off.
        start_beta: weight of the KL at the first step of the warm-up. 0 lets the decoder learn first
            (Sønderby et al. 2016). More than `beta` fits the codes to the prior first, before they say much
            of the image (compare the growing capacity of Burgess et al. 2018, arXiv:1804.03599): samples of
            p(z) then lie where codes do.
        free_bits: nats of KL per component of z that are not penalised in training, against posterior
            collapse; 0 is off.
    """

    image_shape: tuple[int, int, int] = field(default=(1, 28, 28), metadata=limits(1, 1024))
    latent_size: int = field(default=50, metadata=limits(1, 4096))
    net: str = field(default="mlp", metadata=limits(choices=("mlp", "conv", "hybrid", "map")))
    width: int = field(default=200, metadata=limits(1, 4096))
    depth: int = field(default=2, metadata=limits(0, 16))
    activation: str = field(default="tanh", metadata=limits(choices=tuple(nets.ACTIVATIONS)))
    units: int = field(default=160, metadata=limits(1, 4096))
    likelihood: str = field(default="logistic", metadata=limits(choices=tuple(KINDS)))
    k: int = field(default=1, metadata=limits(1, 10_000))
    k_from: int = field(default=0, metadata=limits(0, 10**9))
    draws: int = field(default=1, metadata=limits(1, 10_000))
    path_gradient: bool = False
    beta: float = field(default=1.0, metadata=limits(0, 1000))
    warmup: int = field(default=0, metadata=limits(0, 10**9))
    start_beta: float = field(default=0.0, metadata=limits(0, 1000))
    free_bits: float = field(default=0.0, metadata=limits(0, 100))


class VAE(ImportanceModel, EncodingModel):
    """p(x) = ∫ p(x|z) p(z) dz with z ~ N(0, I); `log_prob` is the ELBO, `iwae` a tighter bound."""

    Config = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.likelihood: Likelihood = KINDS[config.likelihood]()
        self.encoder, self.decoder = self._nets()

    @property
    def levels(self) -> int:
        """The number of values that a pixel can take, 0 if p(x) is a density of real-valued pixels."""
        return self.likelihood.levels

    @property
    def record_protocol(self) -> str:
        """How `log_prob` is estimated."""
        return f"KL exact, {ELBO_DRAWS} draws of z per image"

    @property
    def record_note(self) -> str:
        """The caveat for a likelihood of this model; empty for a VAE that was trained on a bound."""
        if self.config.beta == 1:
            return ""
        return f"no bound was maximised in training: beta = {self.config.beta:g}"

    @property
    def weighing_chunk(self) -> int:
        """How many images are weighted at a time, with BLOCK draws each in one pass of the decoder."""
        return self._images_per_pass(BLOCK)

    def objective(
        self, x: Tensor, rng: torch.Generator, *condition: Tensor, warmth: float = 1.0, k: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what training maximises, in nats per image, and the mean KL(q(z|x) ‖ p(z)): two scalars,
        differentiable.

        `condition` is that of a conditional model, one row per image. `warmth` is the share of the warm-up
        that has passed, which decides the weight of the KL of the ELBO; `k` overrides the config's. If k is
        1, the ELBO is averaged over the config's `draws`.

        Raises:
            ArgumentError: the likelihood gives no probability to some pixels.
        """
        self.likelihood.check(x)
        config, q = self.config, self._encode(x, *condition)
        k = config.k if k is None else k
        draws = k if k > 1 else config.draws
        # (draws, N, D)
        noise = drawn(
            lambda shape: torch.randn(shape, generator=rng, device=rng.device), (draws, *q.mean.shape), 1
        )
        z = elbo.reparametrise(*q, noise)
        likelihood = self._log_likelihood(x, z, *condition)  # (draws, N)
        components = elbo.kl_per_component(*q)
        divergence = components.sum(-1).mean()
        if k > 1 and config.path_gradient:
            log_weights = likelihood - elbo.path_divergence(z, *q)
            elbo.doubly_reparametrise(z, log_weights)
            return elbo.iwae(log_weights).mean(), divergence
        if k > 1:
            return elbo.iwae(elbo.log_weight(likelihood, z, *q)).mean(), divergence
        if config.path_gradient:
            paid = elbo.path_divergence(z, *q).mean()
        else:
            # what is free depends on the means over the whole batch
            means = mean(components.mean(0, keepdim=True)) if config.free_bits else components
            paid = elbo.free_bits(means, config.free_bits) if config.free_bits else divergence
        weight = config.start_beta + warmth * (config.beta - config.start_beta)
        return elbo.elbo(likelihood.mean(), paid, weight), divergence

    def _log_prob(self, x: Tensor, *condition: Tensor) -> Tensor:
        self.likelihood.check(x)
        size = self._images_per_pass(ELBO_DRAWS)
        parts = zip(*(rows.split(size) for rows in (x, *condition)), strict=True)
        return torch.cat([self._elbo(*part) for part in parts])

    def _elbo(self, x: Tensor, *condition: Tensor) -> Tensor:
        """Return the ELBO (N,): the KL exactly, the likelihood as the mean over draws that are a function of
        the image.
        """
        q = self._encode(x, *condition)
        # (N, draws, D)
        noise = torch.cat(
            [Rng(seed, 0, 1).normal(ELBO_DRAWS, self.latent_size) for seed in _seeds(x, "elbo")]
        )
        z = elbo.reparametrise(*q, noise.transpose(0, 1).to(x.device))
        return elbo.elbo(self._log_likelihood(x, z, *condition).mean(0), elbo.kl(*q))

    def _log_weights(self, x: Tensor, k: int, seed: int, *condition: Tensor) -> Iterator[Tensor]:
        self.likelihood.check(x)
        q = self._encode(x, *condition)
        streams = [generator(start) for start in _seeds(x, "iwae", seed)]
        for size in _blocks(k):
            noise = torch.stack(
                [torch.randn(BLOCK, self.latent_size, generator=stream)[:size] for stream in streams], 1
            )
            z = elbo.reparametrise(*q, noise.to(x.device))  # (size, N, D)
            yield elbo.log_weight(self._log_likelihood(x, z, *condition), z, *q)

    def _log_likelihood(self, x: Tensor, z: Tensor, *condition: Tensor) -> Tensor:
        """Return log p(x|z), (K, N), of images (N, C, H, W) and their latents (K, N, D)."""
        repeated = (rows.expand(len(z), *rows.shape).flatten(0, 1) for rows in condition)
        maps: Tensor = self.decoder(z.flatten(0, 1), *repeated)
        return self.likelihood.log_prob(x, maps.unflatten(0, z.shape[:2]))

    def _encode(self, x: Tensor, *condition: Tensor) -> Posterior:
        mean, log_var = self.encoder(x, *condition).float().chunk(2, dim=1)
        return Posterior(mean, log_var.clamp(*LOG_VARS))

    def _decode(self, z: Tensor, *condition: Tensor) -> Tensor:
        return self.likelihood.mean(self.decoder(z, *condition))

    def _sample(self, rng: Rng, *condition: Tensor) -> Tensor:
        maps = self.decoder(self._latents(rng), *condition)
        return self.likelihood.draw(maps, rng.uniform(*self.image_shape))

    def _nets(self) -> tuple[nn.Module, nn.Module]:
        """Return the encoder, of images and what follows them, and the decoder, of z and what follows it."""
        config = self.config
        return encoder(config, config.image_shape), decoder(
            config, config.latent_size, self.likelihood.outputs
        )

    def _images_per_pass(self, draws: int) -> int:
        rows = min(ROWS, VALUES // dimensions(self.image_shape))
        return max(1, rows // draws)


layouts.register(VAE)(vae_layout)


@players.register
def vae_players(model: VAE, recipe: Recipe) -> Sequence[Player]:
    """Return the one player of the likelihood game, named "model": it minimises minus the bound of the
    config, in nats per image.
    """
    collapse, stage = Collapse(stops=recipe.watch), {"warmth": 1.0, "k": model.config.k}

    def before_turn(step: int) -> None:
        nonlocal stage
        config = model.config
        k = config.k if step >= config.k_from else 1
        stage = {"warmth": warmth(step, config.warmup), "k": k}

    def loss(batch: Batch, rng: torch.Generator) -> Tensor:
        value, divergence = model.objective(batch.images, rng, *batch.given, **stage)
        collapse.look(divergence)
        return -value

    return [
        Player(
            name="model",
            module=model,
            loss=loss,
            turns=recipe.turns_of("model"),
            before_turn=before_turn,
            average=True,
        )
    ]


class Collapse:
    """Detects a collapsed posterior during training: the decoder has learned to ignore z (Bowman et al.
    2016).
    """

    def __init__(self, *, stops: bool) -> None:
        self.stops = stops
        self._recent: deque[Tensor] = deque(maxlen=PATIENCE)
        self._turns = 0

    def look(self, divergence: Tensor) -> None:
        """Raise TrainingError if the mean KL of the last PATIENCE turns is below COLLAPSED."""
        self._recent.append(divergence.detach())
        self._turns += 1
        if not self.stops or self._turns % PATIENCE:  # reading a number makes a GPU wait
            return
        mean = float(torch.stack(list(self._recent)).mean())
        if mean < COLLAPSED:
            raise TrainingError(
                f"the posterior has collapsed: the mean KL over {PATIENCE} turns is {mean:.4f} nats, so "
                "z says nothing about the image",
                "try free_bits=0.1, beta below 1, a lower lr or a smaller decoder; watch=false "
                "continues regardless",
            )


def encoder(config: VAEConfig, shape: tuple[int, int, int]) -> nn.Module:
    """Return the net of a config that maps images of `shape` (C, H, W) to mean and log σ² of q(z|x)."""
    width, depth, outputs = config.width, config.depth, 2 * config.latent_size
    if config.net == "mlp":
        return nets.mlp_encoder(shape, width, depth, outputs, config.activation)
    if config.net == "map":
        return nets.map_encoder(shape, width, depth, config.latent_size)
    return nets.conv_encoder(shape, width, depth, outputs, config.units if config.net == "hybrid" else 0)


def decoder(config: VAEConfig, inputs: int, outputs: int) -> nn.Module:
    """Return the net of a config that maps (N, inputs) to images of `outputs` maps per colour channel."""
    shape, width, depth = config.image_shape, config.width, config.depth
    if config.net == "mlp":
        return nets.mlp_decoder(shape, width, depth, inputs, outputs, config.activation)
    if config.net == "map":
        return nets.map_decoder(shape, width, depth, config.latent_size, inputs, outputs)
    if config.net == "conv":
        return nets.conv_decoder(shape, width, depth, inputs, outputs)
    return nets.Patches(shape, config.units, width, inputs, outputs)


def _check(config: VAEConfig) -> None:
    _check_images(config)
    if config.k > 1 and (config.beta != 1 or config.free_bits):
        raise ArgumentError(
            "beta and free_bits weight the KL term of the ELBO, which the bound of k > 1 draws lacks",
            "set k=1, or leave out both",
        )
    if config.path_gradient and config.free_bits:
        raise ArgumentError(
            "free_bits needs the KL in closed form, but path_gradient estimates it from the draws of z",
            "set free_bits=0, or path_gradient=false",
        )
    if config.k > 1 and config.warmup > config.k_from:
        raise ArgumentError(
            "warmup weights the KL term of the ELBO, which the bound of k > 1 draws lacks: it must end by "
            f"k_from={config.k_from}",
            f"set k_from={config.warmup} or later",
        )
    if config.start_beta and not config.warmup:
        raise ArgumentError(
            f"start_beta={config.start_beta:g} is the weight of the KL at the start of a warm-up, "
            "and warmup is 0",
            "set warmup to the number of steps until the weight is beta, or leave start_beta out",
        )
    if config.net == "mlp" and not config.depth:
        raise ArgumentError(
            "depth must be at least 1 for net=mlp", "depth=0 is for net=conv, without residual blocks"
        )


def _check_images(config: VAEConfig) -> None:
    if config.likelihood == "colours" and config.image_shape[0] > 3:
        raise ArgumentError(
            f"likelihood=colours is of red, green and blue, not of {config.image_shape[0]} channels",
            "set likelihood=logistic",
        )
    positions = dimensions((1, *nets.base_of(config.image_shape, nets.PATCH)))
    if config.net == "map" and config.latent_size % positions:
        raise ArgumentError(
            f"net=map needs equally many latents for each of its {positions} positions, and latent_size="
            f"{config.latent_size} is no multiple of {positions}",
            f"set latent_size={max(1, round(config.latent_size / positions)) * positions}",
        )


def _blocks(k: int) -> Iterator[int]:
    """Yield sizes of at most BLOCK that add up to `k`."""
    yield from [BLOCK] * (k // BLOCK)
    if k % BLOCK:
        yield k % BLOCK


def _seeds(x: Tensor, *purpose: str | int) -> list[int]:
    """Return a seed for each image, a function of its 8-bit pixels alone: its draws do not depend on the
    batch it is in.
    """
    levels = (x.detach() * 255).round().to(torch.uint8).cpu()
    return [mix("vae", *purpose, image.numpy().tobytes().hex()) for image in levels]
