"""The cards of the VAE plugin. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from typing import Any

from genzoo import Card, Family, Recipe, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for

AUTOENCODER = (
    "Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, "
    "Science 313:504-507"
)
VAE = "Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114"
IWAE = "Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders, arXiv:1509.00519"
SIGMA = (
    f"{VAE}; Rybkin, Daniilidis & Levine 2021, Simple and Effective VAE Training with Calibrated "
    "Decoders, arXiv:2006.13202"
)


def _recipe(name: str, data: str, steps: int, **changes: Any) -> Recipe:
    return Recipe(
        command=f"genzoo train {name}",
        data=data,
        steps=steps,
        **{"batch": 100, "rate": {"all": 1e-3}, **changes},
    )


def _autoencoder(name: str, summary: str, recipe: Recipe, **config: Any) -> Card:
    return Card(
        name=name,
        family=Family.AUTOENCODER,
        model="genzoo_vae.autoencoder:Autoencoder",
        config=config,
        recipe=recipe,
        summary=summary,
        paper=AUTOENCODER,
    )


def _vae(name: str, summary: str, recipe: Recipe, paper: str = VAE, **config: Any) -> Card:
    return Card(
        name=name,
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        config=config,
        recipe=recipe,
        summary=summary,
        paper=paper,
    )


def _on_digits(name: str) -> Recipe:
    """Return the recipe of an architecture: the digits that come with the core, small enough to be tried
    anywhere.
    """
    command = f"genzoo train {name} --data digits --set image_size=8x8 --set channels=1"
    return _recipe(name, "digits", 2_000, precision="fp32").replace(command=command)


# The papers' optimiser is Adam. Muon takes batches of 200, which spread its cost (decision 10). Layers of
# tanh gain nothing from bf16, and many draws of each image much. Images are moved while the net is young, so
# that it learns fewer of them by heart.
_MNIST: dict[str, Any] = {"image_shape": (1, 28, 28), "likelihood": "bernoulli"}
_HYBRID: dict[str, Any] = {
    "net": "hybrid",
    "width": 16,
    "depth": 1,
    "units": 160,
    "latent_size": 40,
    "draws": 8,
    "path_gradient": True,
}
_CONV: dict[str, Any] = {"net": "conv", "width": 32, "depth": 0}
_CORE = "1 core of an AMD EPYC (Zen 4), bf16"


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: three architectures, and what they learn from the lecture's data sets."""
    return [
        _autoencoder(
            "autoencoder",
            "Autoencoder: four convolutions down, four up, L2; codes, no samples",
            _on_digits("autoencoder"),
        ),
        _vae("vae", "Variational autoencoder, fully connected or convolutional, any size", _on_digits("vae")),
        _vae(
            "iwae",
            "Importance-weighted autoencoder: the VAE with a tighter bound",
            _on_digits("iwae"),
            IWAE,
            k=50,
        ),
        *_of_mnist(),
        *_of_pictures(),
    ]


def _of_mnist() -> list[Card]:
    recipe: dict[str, Any] = {"data": "binarized-mnist", "ema": 0.999}
    hybrid: dict[str, Any] = {
        "optimizer": {"all": "muon"},
        "rate": {"all": 8e-3},
        "batch": 200,
        "cooldown": 0.7,
        "shift": 1,
    }
    return [
        _vae(
            "vae-mnist",
            "Handwritten digits, 1×28×28, black and white, 40 latents",
            _recipe("vae-mnist", steps=14_000, shift_until=8_400, **hybrid, **recipe).replace(
                hardware=_CORE, time="30 min", score="-ELBO 87.69 ± 0.23 nats, IWAE-5000 84.22 ± 0.21"
            ),
            **_MNIST,
            **_HYBRID,
            warmup=500,
        ),
        _vae(
            "iwae-mnist",
            "Handwritten digits by 50 importance-weighted draws, the net of vae-mnist",
            _recipe("iwae-mnist", steps=13_000, shift_until=7_800, **hybrid, **recipe).replace(
                hardware=_CORE, time="39 min", score="-ELBO 90.12 ± 0.23 nats, IWAE-5000 83.41 ± 0.21"
            ),
            IWAE,
            **_MNIST,
            **_HYBRID,
            warmup=500,
            k=50,
            k_from=11_000,
        ),
        _vae(
            "vae2d-mnist",
            "Handwritten digits by two latents, for the manifold",
            _recipe(
                "vae2d-mnist", steps=15_000, cooldown=0.5, storage="float16", precision="fp32", **recipe
            ).replace(
                hardware="1 core of an AMD EPYC (Zen 4)",
                time="58 min, the core shared",
                score="-ELBO 138.7 ± 0.5 nats, IWAE-500 135.9",
            ),
            **_MNIST,
            latent_size=2,
            width=500,
        ),
    ]


def _of_pictures() -> list[Card]:
    return [
        _autoencoder(
            "autoencoder-cifar10",
            "Autoencoder of CIFAR-10, 3×32×32: codes and reconstructions",
            _recipe("autoencoder-cifar10", "cifar10", 10_000, cooldown=0.5).replace(
                hardware=_CORE,
                time="10 min",
                score="mean squared error 0.00253 ± 0.00005 on the 1,000 lossless test images",
            ),
            image_shape=(3, 32, 32),
        ),
        _vae(
            "vae-frey",
            "Frey's face by two latents: smile and pose",
            _recipe("vae-frey", "frey", 10_000, cooldown=0.5, ema=0.999, precision="fp32").replace(
                hardware="1 core of an AMD EPYC (Zen 4)",
                time="12 min, the core shared",
                score="-ELBO -518 ± 65 nats, a density; the test frames are 8 blocks of film",
            ),
            SIGMA,
            image_shape=(1, 28, 20),
            likelihood="gaussian",
            latent_size=2,
        ),
        _vae(
            "vae-faces",
            "Faces, 3×64×64",
            _recipe(
                "vae-faces", "faces", 4_000, batch=64, cooldown=0.5, flip=True, ema=0.999, storage="float16"
            ).replace(
                hardware=_CORE,
                time="10 min",
                score="-ELBO -13,146 ± 126 nats, a density, on 914 images of 475 other persons",
            ),
            SIGMA,
            image_shape=(3, 64, 64),
            likelihood="gaussian",
            latent_size=64,
            **_CONV,
        ),
    ]
