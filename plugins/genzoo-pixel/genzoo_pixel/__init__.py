"""The cards of the pixel plugin: PixelRNN and PixelCNN. Nothing here imports torch: cards name their classes
as strings.
"""

from __future__ import annotations

from genzoo import Card, Family, Labels, Recipe, hookimpl

genzoo_api = 2

RNN = "van den Oord, Kalchbrenner & Kavukcuoglu 2016, Pixel Recurrent Neural Networks, arXiv:1601.06759"
GATED = "van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328"

CARDS = (
    Card(
        name="pixelcnn",
        family=Family.TRACTABLE,
        model="genzoo_pixel.pixelcnn:PixelCNN",
        recipe=Recipe(
            command="genzoo train pixelcnn --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            lr={"all": 1e-3},
        ),
        summary="Masked convolutions; the context has a blind spot",
        paper=RNN,
    ),
    Card(
        name="pixelcnn-mnist",
        family=Family.TRACTABLE,
        model="genzoo_pixel.pixelcnn:PixelCNN",
        config={"image_shape": (1, 28, 28), "head": "bernoulli", "layers": 18, "width": 32},
        # The first run, 30,000 steps of twelve layers without shifts, ended at 83.98 nats.
        recipe=Recipe(
            command="genzoo train pixelcnn-mnist --init-from runs/first --set layers=18 --set seed=1",
            data="binarized-mnist",
            steps=14_000,
            batch_size=16,
            lr={"all": 2e-3},
            lr_decay=0.85,
            optimizer={"all": "muon"},
            shift=1,
            shift_until=8_000,
            ema=0.9995,
            save_dtype="float16",
        ),
        summary="Handwritten digits in black and white, 28×28",
        paper=RNN,
    ),
    Card(
        name="gated-pixelcnn",
        family=Family.TRACTABLE,
        model="genzoo_pixel.gated:GatedPixelCNN",
        recipe=Recipe(
            command="genzoo train gated-pixelcnn --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            lr={"all": 1e-3},
        ),
        summary="Two stacks, no blind spot",
        paper=GATED,
    ),
    Card(
        name="gated-pixelcnn-mnist",
        family=Family.TRACTABLE,
        model="genzoo_pixel.gated:GatedPixelCNN",
        config={"image_shape": (1, 28, 28), "head": "bernoulli", "layers": 18, "width": 32, "hidden": 64},
        # The first run, 15,000 steps of twelve layers with lr_decay=0.5 and no shifts, ended at 81.83 nats.
        recipe=Recipe(
            command="genzoo train gated-pixelcnn-mnist --init-from runs/first --set layers=18 --set seed=2",
            data="binarized-mnist",
            steps=14_000,
            batch_size=16,
            lr={"all": 2e-3},
            lr_decay=0.85,
            optimizer={"all": "muon"},
            shift=1,
            shift_until=8_000,
            ema=0.9995,
            save_dtype="float16",
        ),
        summary="Handwritten digits in black and white, 28×28",
        paper=GATED,
    ),
    Card(
        name="conditional-pixelcnn-mnist",
        family=Family.TRACTABLE,
        model="genzoo_pixel.conditional:ConditionalGatedPixelCNN",
        condition=Labels(tuple("0123456789")),
        # Net and recipe of gated-pixelcnn-mnist, whose weights it starts from: the label is new, rounds are
        # fewer, and there are no shifts.
        config={"image_shape": (1, 28, 28), "head": "bernoulli", "layers": 18, "width": 32, "hidden": 64},
        recipe=Recipe(
            command="genzoo train conditional-pixelcnn-mnist --init-from gated-pixelcnn-mnist",
            data="binarized-mnist",
            steps=3_000,
            batch_size=16,
            lr={"all": 2e-3},
            lr_decay=0.85,
            optimizer={"all": "muon"},
            ema=0.9995,
            save_dtype="float16",
        ),
        summary="Handwritten digits by their label, in black and white, 28×28",
        paper=GATED,
    ),
    Card(
        name="pixelrnn-row",
        family=Family.TRACTABLE,
        model="genzoo_pixel.pixelrnn:PixelRNNRow",
        recipe=Recipe(
            command="genzoo train pixelrnn-row --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            lr={"all": 1e-3},
        ),
        summary="Row LSTM; the context is a triangle",
        paper=RNN,
    ),
    Card(
        name="pixelrnn-row-mnist",
        family=Family.TRACTABLE,
        model="genzoo_pixel.pixelrnn:PixelRNNRow",
        config={"image_shape": (1, 28, 28), "head": "bernoulli", "layers": 5, "width": 32},
        # The first run, 15,000 steps of three layers with lr_decay=0.5, ended at 82.73 nats; the second,
        # 12,000 steps of five layers, at 81.67.
        recipe=Recipe(
            command="genzoo train pixelrnn-row-mnist --init-from runs/second --set seed=2",
            data="binarized-mnist",
            steps=9_000,
            batch_size=16,
            lr={"all": 2e-3},
            lr_decay=0.85,
            optimizer={"all": "muon"},
            ema=0.9995,
            save_dtype="float16",
        ),
        summary="Handwritten digits in black and white, 28×28",
        paper=RNN,
    ),
    Card(
        name="pixelrnn-diagonal",
        family=Family.TRACTABLE,
        model="genzoo_pixel.pixelrnn:PixelRNNDiagonal",
        recipe=Recipe(
            command="genzoo train pixelrnn-diagonal --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            lr={"all": 1e-3},
        ),
        summary="Diagonal BiLSTM; all context",
        paper=RNN,
    ),
    Card(
        name="pixelrnn-diagonal-mnist",
        family=Family.TRACTABLE,
        model="genzoo_pixel.pixelrnn:PixelRNNDiagonal",
        config={"image_shape": (1, 28, 28), "head": "bernoulli", "layers": 3, "width": 32},
        # The first run, with lr_decay=0.5, ended at 79.87 nats.
        recipe=Recipe(
            command="genzoo train pixelrnn-diagonal-mnist --init-from runs/first --set seed=1",
            data="binarized-mnist",
            steps=15_000,
            batch_size=16,
            lr={"all": 2e-3},
            lr_decay=0.85,
            optimizer={"all": "muon"},
            ema=0.9995,
            save_dtype="float16",
        ),
        summary="Handwritten digits in black and white, 28×28",
        paper=RNN,
    ),
    Card(
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
        # The first run, 6,200 steps with lr=3e-3, lr_decay=0.85, ema=0.999, ended at 3.29 bits/dim; without
        # a warm-up, the first steps of this one undo it.
        recipe=Recipe(
            command="genzoo train gated-pixelcnn-cifar10 --init-from runs/first --set seed=1",
            data="cifar10",
            steps=2_500,
            batch_size=32,
            lr={"all": 1e-3},
            lr_warmup=300,
            lr_decay=1.0,
            optimizer={"all": "muon"},
            flip=True,
            ema=0.9995,
            save_dtype="float16",
        ),
        summary="Natural images of ten classes, 3×32×32",
        paper=GATED,
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: four architectures, all four trained on binarised MNIST as in the literature; the
    gated one also on CIFAR-10, and on MNIST with labels.
    """
    return list(CARDS)
