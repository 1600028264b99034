"""The cards of the pixel plugin: PixelRNN and PixelCNN. Nothing here imports torch: the classes are named,
not loaded.
"""

from __future__ import annotations

from typing import Any

from genzoo import Card, Family, Recipe, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for

RNN = "van den Oord, Kalchbrenner & Kavukcuoglu 2016, Pixel Recurrent Neural Networks, arXiv:1601.06759"
GATED = "van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328"

# name, class, paper, summary, config of the -mnist card
_KINDS: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    (
        "pixelcnn",
        "pixelcnn:PixelCNN",
        RNN,
        "Masked convolutions; the context has a blind spot",
        {"layers": 12, "width": 32},
    ),
    (
        "gated-pixelcnn",
        "gated:GatedPixelCNN",
        GATED,
        "Two stacks, no blind spot",
        {"layers": 12, "width": 32, "hidden": 64},
    ),
    (
        "pixelrnn-row",
        "pixelrnn:PixelRNNRow",
        RNN,
        "Row LSTM; the context is a triangle",
        {"layers": 3, "width": 32},
    ),
    (
        "pixelrnn-diagonal",
        "pixelrnn:PixelRNNDiagonal",
        RNN,
        "Diagonal BiLSTM; all context",
        {"layers": 3, "width": 32},
    ),
)

_CORE = "1 core of an AMD EPYC (Zen 4), bf16"
_RUNS = {  # of the -mnist cards: what they took and reached on it
    "gated-pixelcnn": ("1 h 03 min, the core shared", "81.83 ± 0.20 nats on the 10,000 test images"),
    "pixelcnn": ("1 h 04 min", "83.98 ± 0.20 nats on the 10,000 test images"),
    "pixelrnn-diagonal": ("1 h 01 min", "79.87 ± 0.20 nats on the 10,000 test images"),
    "pixelrnn-row": ("39 min", "82.73 ± 0.20 nats on the 10,000 test images"),
}


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: four architectures, each for the binarised MNIST of the literature, and the gated one
    for CIFAR-10.
    """
    return [card for kind in _KINDS for card in _pair(*kind)] + [_cifar()]


def _pair(name: str, model: str, paper: str, summary: str, config: dict[str, Any]) -> list[Card]:
    """Return the architecture's card and the one of its model of static binarised MNIST."""
    model = f"genzoo_pixel.{model}"
    digits = Recipe(
        command=f"genzoo train {name} --data digits --set image_size=8x8 --set channels=1",
        data="digits",
        steps=2_000,
        batch=64,
        rate={"all": 1e-3},
    )
    mnist = Recipe(
        command=f"genzoo train {name}-mnist",
        data="binarized-mnist",
        steps=15_000,
        batch=16,
        optimizer={"all": "muon"},
        rate={"all": 2e-3},
        cooldown=0.5,
        ema=0.9995,
        storage="float16",
    )
    if name == "pixelcnn":  # 15,000 steps with cooldown=0.5 ended at 84.43 nats
        mnist = mnist.replace(steps=30_000, cooldown=0.85)
    if name in _RUNS:
        mnist = mnist.replace(hardware=_CORE, time=_RUNS[name][0], score=_RUNS[name][1])
    black = {"image_shape": (1, 28, 28), "head": "bernoulli", **config}
    return [
        Card(name=name, family=Family.TRACTABLE, model=model, recipe=digits, summary=summary, paper=paper),
        Card(
            name=f"{name}-mnist",
            family=Family.TRACTABLE,
            model=model,
            config=black,
            recipe=mnist,
            summary="Handwritten digits in black and white, 28×28",
            paper=paper,
        ),
    ]


def _cifar() -> Card:
    return Card(
        name="gated-pixelcnn-cifar10",
        family=Family.TRACTABLE,
        model="genzoo_pixel.gated:GatedPixelCNN",
        config={
            "image_shape": (3, 32, 32),
            "head": "logistic",
            "mixture": 5,
            "layers": 12,
            "width": 48,
            "hidden": 96,
        },
        recipe=Recipe(
            command="genzoo train gated-pixelcnn-cifar10",
            data="cifar10",
            steps=6_200,
            batch=32,
            optimizer={"all": "muon"},
            rate={"all": 3e-3},
            cooldown=0.85,
            flip=True,
            ema=0.999,
            storage="float16",
            hardware="2 cores of an AMD EPYC (Zen 4), bf16",
            time="1 h 10 min",
            score="3.29 ± 0.02 bits/dim on the 1,000 lossless test images",
        ),
        summary="Natural images of ten classes, 3×32×32",
        paper=GATED,
    )
