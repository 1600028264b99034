"""Names that belong to genzoo: only their owner may claim one, in any load order and whether or not the owner
is installed.

Each list stands here once, or in the table that this module imports; all others are derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from genzoo.datasets import NAMES

OFFICIAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "genzoo-pixel": (
            "pixelcnn",
            "pixelcnn-mnist",
            "gated-pixelcnn",
            "gated-pixelcnn-mnist",
            "gated-pixelcnn-cifar10",
            "conditional-pixelcnn-mnist",
            "pixelrnn-row",
            "pixelrnn-row-mnist",
            "pixelrnn-diagonal",
            "pixelrnn-diagonal-mnist",
        ),
        "genzoo-vae": (
            "autoencoder",
            "autoencoder-cifar10",
            "vae",
            "vae-mnist",
            "iwae",
            "iwae-mnist",
            "vae2d-mnist",
            "vae-frey",
            "vae-faces",
            "vae-cifar10",
            "cvae-mnist",
        ),
        "genzoo-gan": ("gan", "gan-mnist", "cgan-mnist"),
        "genzoo-dcgan": ("dcgan", "dcgan-bedrooms", "dcgan-mnist", "dcgan-faces", "dcgan-rooms"),
        "genzoo-wgan": ("wgan", "wgan-bedrooms", "wgan-gp", "wgan-gp-bedrooms", "wgan-gp-resnet"),
        "genzoo-began": ("began", "began-faces"),
        "genzoo-progressive": ("progressive", "progressive-bedrooms", "progressive-faces"),
        "genzoo-text": ("text2image-flowers",),
        "genzoo-translate": ("pix2pix-facades", "cyclegan-horse2zebra"),
        "genzoo-features": (
            "features",
            "features-mnist",
            "features-cifar10",
            "features-rooms",
            "features-faces",
            "features-horses",
        ),
    }
)
COMPLETE = "_GENZOO_COMPLETE"  # the variable by which a shell asks for completions, and must not wait

# Command -> module of genzoo.cli; the order is that of the help page. Importing one of them imports no torch.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "list": "listing",
        "info": "info",
        "sample": "sampling",
        "interpolate": "interpolation",
        "traverse": "traversal",
        "manifold": "manifold",
        "arithmetic": "arithmetic",
        "reconstruct": "reconstruction",
        "neighbours": "neighbours",
        "features": "features",
        "complete": "completing",
        "context": "context",
        "translate": "translating",
        "train": "training",
        "hacks": "hacks",
        "experiment": "experiment",
        "eval": "evaluation",
        "few-labels": "few_labels",
        "pull": "weights",
        "verify": "weights",
        "push": "weights",
        "import": "importing",
        "export": "exporting",
        "data": "data",
        "cache": "cache",
        "plugins": "plugins",
        "new-plugin": "new_plugin",
        "completion": "completion",
    }
)
CORE_COMMANDS = (*COMMANDS, "help", "version")  # the last two are options, and must mean nothing else
# Tracker -> the package that it needs; each has an extra of its name.
TRACKERS: Mapping[str, str] = MappingProxyType(
    {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio", "mlflow": "mlflow"}
)
CORE_DATASETS = (*NAMES, "hf")  # hf: opens the sets of Hugging Face

# What completion keeps -> its share of the height and of the width, from and to.
KEEPS: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = MappingProxyType(
    {
        "top": ((0.0, 0.5), (0.0, 1.0)),
        "bottom": ((0.5, 1.0), (0.0, 1.0)),
        "left": ((0.0, 1.0), (0.0, 0.5)),
        "right": ((0.0, 1.0), (0.5, 1.0)),
    }
)
FEWEST = 3  # images of a concept: the mean of fewer is dominated by single images


def to_install(plugin: str) -> str:
    """Return how the distribution `plugin` is installed: one of ours from a checkout, as they are on no index
    yet (docs/installing.md), any other by its name.
    """
    if plugin in OFFICIAL:
        return "pip install -r requirements.txt in a checkout of genzoo"
    return f"pip install {plugin}"
