"""Nets whose losses can be computed by hand, small models, and captioned sets."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from genzoo_text.game import MatchingGame
from genzoo_text.options import Matching
from genzoo_text.textgan import TextGAN, TextGANConfig
from torch import Tensor, nn

from genzoo import Text
from genzoo.data import Images
from genzoo.training import Batch

VOCABULARY = ("a", "daffodil", "flower", "photograph", "of", "red", "rose", "yellow")
SENTENCES = ("a red rose", "a yellow daffodil", "a photograph of a rose")
TEXT = Text(VOCABULARY, 6, SENTENCES)
WORTH = {"red": 0.5, "rose": -1.0, "yellow": 1.5, "daffodil": 0.25}  # of a word, to D
SHADE = {"red": 0.3, "rose": 0.2, "yellow": -0.4, "daffodil": 0.1}  # of a word, in what G makes
LEVELS = (0.75, 0.4, 0.95, 0.55)  # of the real images of a batch, in [0, 1]
PAINT = {
    "red": (200, 20, 25),
    "yellow": (250, 220, 30),
    "white": (250, 250, 250),
    "blue": (60, 70, 210),
    "green": (40, 110, 35),
}


def rows(*texts: str) -> Tensor:
    """Return the numbers of the words of `texts`, (N, 6)."""
    return torch.tensor([TEXT.encode(text) for text in texts])


def weights(worth) -> Tensor:
    return torch.tensor([0.0, *(worth.get(word, 0.0) for word in VOCABULARY)], dtype=torch.float64)


class Bag(nn.Module):
    """Counts of each word, in place of learned vectors."""

    def forward(self, texts):
        return nn.functional.one_hot(texts, len(VOCABULARY) + 1).sum(1).double()


class Judge(nn.Module):
    """logit = mean of the image + the worth of the words."""

    def __init__(self):
        super().__init__()
        self.words, self.worth = Bag(), nn.Parameter(weights(WORTH))

    def features(self, x):
        return x.double().mean((1, 2, 3))

    def judge(self, maps, embedded):
        return maps + embedded @ self.worth

    def forward(self, x, embedded, *others):
        logits = [self.judge(self.features(x), texts) for texts in (embedded, *others)]
        return torch.stack(logits) if others else logits[0]


class Maker(nn.Module):
    """An image of one level, the shade of the words."""

    def __init__(self):
        super().__init__()
        self.words, self.shade = Bag(), nn.Parameter(weights(SHADE))

    def forward(self, z, embedded):
        return (embedded @ self.shade)[:, None, None, None].expand(-1, 3, 2, 2)


def stub():
    """Return what the game needs of a model, with the two nets above."""
    return SimpleNamespace(
        generator=Maker(),
        discriminator=Judge(),
        config=SimpleNamespace(vocabulary=VOCABULARY),
        device=torch.device("cpu"),
        _latents=lambda rng: rng.normal(2),
    )


def game(kind=MatchingGame, **options):
    return kind(stub(), Matching(**options))


def batch(*texts: str) -> Batch:
    """Return images with `texts`, each of a level of its own in [0, 1]."""
    levels = torch.tensor(LEVELS[: len(texts)])
    return Batch(levels[:, None, None, None].expand(-1, 3, 2, 2).clone(), condition=rows(*texts))


def tiny(kind=TextGAN, seed=0, **config):
    facts = {"vocabulary": VOCABULARY, "text_length": 6, "sentences": SENTENCES, "image_shape": (3, 8, 8)}
    sizes = {"width": 4, "latent_size": 4, "word_size": 6, "text_size": 5}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(TextGANConfig(**{**facts, **sizes, **config})).train()


def painted(colour: str, side: int = 16, number: int = 0):
    """Return a disc of `colour` on green, (3, side, side) uint8; `number` makes it differ from others."""
    y, x = np.mgrid[:side, :side]
    picture = np.empty((side, side, 3), np.uint8)
    picture[:] = PAINT["green"]
    picture[(y - side / 2) ** 2 + (x - side / 2) ** 2 < (0.3 * side) ** 2] = PAINT[colour]
    picture[0, 0] = (number % 256, number // 256, 0)
    return picture.transpose(2, 0, 1)


def bed(plants, split="train", names=("rose", "daffodil")):
    """Return a captioned set of (colour, flower), each image unlike the others."""
    pixels = np.stack([painted(colour, number=i) for i, (colour, _) in enumerate(plants)])
    captions = tuple((f"a {colour} {name}", f"a {colour} flower") for colour, name in plants)
    return Images(pixels=pixels, captions=captions, name="bed", split=split, class_names=names)
