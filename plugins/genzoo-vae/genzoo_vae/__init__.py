"""The cards of the VAE plugin. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from genzoo import Card, Family, Labels, Recipe, hookimpl

genzoo_api = 2

AUTOENCODER = (
    "Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, "
    "Science 313:504-507"
)
VAE = "Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114"
IWAE = "Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders, arXiv:1509.00519"
SIGMA = f"{VAE}; Rybkin, Daniilidis & Levine 2021, Calibrated Decoders, arXiv:2006.13202"

COLOURS = "Salimans, Karpathy, Chen & Kingma 2017, PixelCNN++, arXiv:1701.05517"
CVAE = (
    "Sohn, Lee & Yan 2015, Learning Structured Output Representation using Deep Conditional Generative "
    "Models, NeurIPS"
)

DIGITS = {  # the net of all models of binarised MNIST with 40 latents
    "image_shape": (1, 28, 28),
    "likelihood": "bernoulli",
    "net": "hybrid",
    "width": 16,
    "depth": 1,
    "units": 160,
    "latent_size": 40,
    "draws": 8,
    "path_gradient": True,
    "warmup": 500,
}

CARDS = (
    Card(
        name="autoencoder",
        family=Family.AUTOENCODER,
        model="genzoo_vae.autoencoder:Autoencoder",
        recipe=Recipe(
            command="genzoo train autoencoder --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            batch_size=100,
            lr={"all": 1e-3},
            precision="fp32",
        ),
        summary="Autoencoder: four convolutions down, four up, L2; codes, no samples",
        paper=AUTOENCODER,
    ),
    Card(
        name="vae",
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        recipe=Recipe(
            command="genzoo train vae --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            batch_size=100,
            lr={"all": 1e-3},
            precision="fp32",
        ),
        summary="Variational autoencoder, fully connected or convolutional, any size",
        paper=VAE,
    ),
    Card(
        name="iwae",
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        config={"k": 50},
        recipe=Recipe(
            command="genzoo train iwae --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            batch_size=100,
            lr={"all": 1e-3},
            precision="fp32",
        ),
        summary="Importance-weighted autoencoder: the VAE with a tighter bound",
        paper=IWAE,
    ),
    Card(
        name="vae-mnist",
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        config=DIGITS,
        # The papers' optimiser is Adam; Muon takes batches of 200, which spread its cost (decision 10).
        # Images are shifted while the net is young, so that it memorises fewer of them.
        recipe=Recipe(
            data="binarized-mnist",
            steps=14_000,
            batch_size=200,
            lr={"all": 8e-3},
            lr_decay=0.7,
            optimizer={"all": "muon"},
            shift=1,
            shift_until=8_400,
            ema=0.999,
        ),
        summary="Handwritten digits, 1×28×28, black and white, 40 latents",
        paper=VAE,
    ),
    Card(
        name="iwae-mnist",
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        config={**DIGITS, "k": 50, "k_from": 11_000},
        # As vae-mnist, with 50 importance-weighted draws in the last 2,000 steps.
        recipe=Recipe(
            data="binarized-mnist",
            steps=13_000,
            batch_size=200,
            lr={"all": 8e-3},
            lr_decay=0.7,
            optimizer={"all": "muon"},
            shift=1,
            shift_until=7_800,
            ema=0.999,
        ),
        summary="Handwritten digits by 50 importance-weighted draws, the net of vae-mnist",
        paper=IWAE,
    ),
    Card(
        name="cvae-mnist",
        family=Family.APPROXIMATE,
        model="genzoo_vae.conditional:ConditionalVAE",
        condition=Labels(tuple("0123456789")),
        # Net and recipe of vae-mnist, so that their bounds can be compared.
        config=DIGITS,
        recipe=Recipe(
            data="binarized-mnist",
            steps=14_000,
            batch_size=200,
            lr={"all": 8e-3},
            lr_decay=0.7,
            optimizer={"all": "muon"},
            shift=1,
            shift_until=8_400,
            ema=0.999,
        ),
        summary="Handwritten digits by their label, 1×28×28, black and white, the net of vae-mnist",
        paper=CVAE,
    ),
    Card(
        name="vae2d-mnist",
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        config={"image_shape": (1, 28, 28), "likelihood": "bernoulli", "latent_size": 2, "width": 500},
        recipe=Recipe(
            data="binarized-mnist",
            steps=15_000,
            batch_size=100,
            lr={"all": 1e-3},
            lr_decay=0.5,
            ema=0.999,
            precision="fp32",
            save_dtype="float16",
        ),
        summary="Handwritten digits by two latents, for the manifold",
        paper=VAE,
    ),
    Card(
        name="autoencoder-cifar10",
        family=Family.AUTOENCODER,
        model="genzoo_vae.autoencoder:Autoencoder",
        config={"image_shape": (3, 32, 32)},
        recipe=Recipe(data="cifar10", batch_size=100, lr={"all": 1e-3}, lr_decay=0.5),
        summary="Autoencoder of CIFAR-10, 3×32×32: codes and reconstructions",
        paper=AUTOENCODER,
    ),
    Card(
        name="vae-cifar10",
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        config={
            "image_shape": (3, 32, 32),
            "likelihood": "colours",
            "net": "map",
            "width": 64,
            "depth": 1,
            "latent_size": 1024,
        },
        recipe=Recipe(
            data="cifar10",
            steps=13_000,
            batch_size=64,
            lr={"all": 8e-3},
            lr_decay=0.5,
            optimizer={"all": "muon"},
            flip=True,
            ema=0.999,
            precision="fp32",
            save_dtype="float16",
        ),
        summary="CIFAR-10, 3×32×32, 16 latents for each 4×4 pixels, bits/dim of 8-bit colours as a bound",
        paper=f"{VAE}; {COLOURS}",
    ),
    Card(
        name="vae-frey",
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        config={"image_shape": (1, 28, 20), "likelihood": "gaussian", "latent_size": 2},
        recipe=Recipe(
            data="frey", batch_size=100, lr={"all": 1e-3}, lr_decay=0.5, ema=0.999, precision="fp32"
        ),
        summary="Frey's face by two latents: smile and pose",
        paper=SIGMA,
    ),
    Card(
        name="vae-faces",
        family=Family.APPROXIMATE,
        model="genzoo_vae.vae:VAE",
        config={
            "image_shape": (3, 64, 64),
            "likelihood": "gaussian",
            "latent_size": 64,
            "net": "conv",
            "width": 32,
            "depth": 0,
            "warmup": 7_000,
            "start_beta": 30.0,
        },
        recipe=Recipe(
            data="faces",
            steps=10_000,
            lr={"all": 1e-3},
            lr_decay=0.5,
            flip=True,
            ema=0.999,
            save_dtype="float16",
        ),
        summary="Faces, 3×64×64",
        paper=SIGMA,
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: three architectures, and the models of the lecture's data sets."""
    return list(CARDS)
