"""Autoencoding beyond pixels using a learned similarity metric (Larsen et al. 2016, arXiv:1512.09300)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from genzoo import Recipe
from genzoo.losses.elbo import kl, reparametrise
from genzoo.models import AdversarialModel, EncodingModel, Posterior
from genzoo.schema import limits
from genzoo.training import Batch, Player, players
from genzoo_vaegan.options import VAEGANOptions


@dataclass(frozen=True, kw_only=True)
class VAEGANConfig:
    """What the model is built from."""

    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    latent_size: int = field(default=16, metadata=limits(1, 1024))
    width: int = field(default=128, metadata=limits(1, 4096))


class Discriminator(nn.Module):
    """Says how real images (N, C, H, W) look, by way of a hidden layer in which the others compare them."""

    def __init__(self, pixels: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), nn.LeakyReLU(0.2))
        self.output = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def features(self, x: Tensor) -> Tensor:
        """Return what the hidden layer makes of images, (N, width): Dis_l(x) in the paper."""
        features: Tensor = self.hidden(2 * x - 1)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Return one logit per image, (N,)."""
        logits: Tensor = self.output(self.features(x))
        return logits.flatten()


class VAEGAN(AdversarialModel, EncodingModel):
    """x = G(z) with z ~ N(0, I), and an encoder q(z|x). Pixels have no likelihood here, so p(x) cannot be
    asked for."""

    Config = VAEGANConfig
    discriminator: Discriminator

    def __init__(self, config: VAEGANConfig) -> None:
        super().__init__()
        self.config = config
        pixels, latents, width = prod(config.image_shape), config.latent_size, config.width
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, 2 * latents)
        )
        self.generator = nn.Sequential(
            nn.Linear(latents, width), nn.ReLU(), nn.Linear(width, pixels), nn.Sigmoid()
        )
        self.discriminator = Discriminator(pixels, width)

    def _encode(self, x: Tensor) -> Posterior:  # (N, C, H, W)
        mean, log_var = self.encoder(2 * x - 1).chunk(2, 1)
        return Posterior(mean, log_var.clamp(-12, 12))  # both (N, latent_size)

    def _decode(self, z: Tensor) -> Tensor:  # (N, latent_size)
        images: Tensor = self.generator(z).unflatten(1, self.config.image_shape)
        return images  # (N, C, H, W) in [0, 1]

    def _discriminate(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        logits: Tensor = self.discriminator(x)
        return logits  # (N,)


class Game:
    """The three losses of algorithm 1; the generator minimises -log D, as in every GAN that learns."""

    def __init__(self, model: VAEGAN, options: VAEGANOptions) -> None:
        self.model, self.options = model, options

    def encoder_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_prior + L_llike: what z costs, and how far the reconstruction is from the image in the
        eyes of D."""
        mean, log_var, rebuilt, _ = self._draw(batch.images, rng)
        return kl(mean, log_var).mean() + self._likeness(batch.images, rebuilt)

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return γ L_llike, and what D says of reconstructions and of images drawn from the prior."""
        *_, rebuilt, drawn = self._draw(batch.images, rng)
        fooled = softplus(-self.model._discriminate(torch.cat([rebuilt, drawn]))).mean()
        return self.options.gamma * self._likeness(batch.images, rebuilt) + fooled

    def discriminator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return -L_GAN: real images against reconstructions and images drawn from the prior."""
        with torch.no_grad():
            *_, rebuilt, drawn = self._draw(batch.images, rng)
        caught = softplus(self.model._discriminate(torch.cat([rebuilt, drawn]))).mean()
        return softplus(-self.model._discriminate(batch.images)).mean() + caught

    def _draw(self, images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, log_var = self.model._encode(images)
        epsilon, prior = torch.randn(2, *mean.shape, generator=rng, device=rng.device)
        return (
            mean,
            log_var,
            self.model._decode(reparametrise(mean, log_var, epsilon)),
            self.model._decode(prior),
        )

    def _likeness(self, images: Tensor, rebuilt: Tensor) -> Tensor:
        features = self.model.discriminator.features
        return 0.5 * (features(images) - features(rebuilt)).square().sum(1).mean()


@players.register(options=VAEGANOptions)
def play(model: VAEGAN, recipe: Recipe) -> Sequence[Player]:
    """Return the three players in the order in which they move; all see the same images in a round."""
    game = Game(model, recipe.options(VAEGANOptions))
    return [
        Player(
            name="discriminator",
            module=model.discriminator,
            loss=game.discriminator_loss,
            turns=recipe.turns_of("discriminator"),
        ),
        Player(name="encoder", module=model.encoder, loss=game.encoder_loss, fresh=False, average=True),
        Player(name="generator", module=model.generator, loss=game.generator_loss, fresh=False, average=True),
    ]
