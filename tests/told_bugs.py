"""What people write by mistake in models that take pictures and texts: each of BUGS breaks one law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from told_toys import Cycle, Paired, PairedConfig, TextGAN

from genzoo import Picture, Text
from genzoo.condition.text import split


class Shrinking(Paired):
    """One row and one column are lost."""

    def _translate(self, x, to, rng):
        return super()._translate(x, to, rng)[..., 1:, 1:]


class Ranged(Paired):
    """tanh without (y + 1) / 2."""

    def _translate(self, x, to, rng):
        return 2 * super()._translate(x, to, rng) - 1


class DropoutOff(Paired):
    """Dropout that is off in evaluation: the noise of pix2pix is lost at test."""

    def _translate(self, x, to, rng):
        return self.up(self.down(2 * x - 1).relu()).sigmoid()


class OwnNoise(Paired):
    """Noise from torch's global generator."""

    def _translate(self, x, to, rng):
        hidden = self.down(2 * x - 1).relu()
        return self.up(torch.nn.functional.dropout(hidden, 0.5, True)).sigmoid()


class OneMask(Paired):
    """One dropout mask for a batch."""

    decode_chunk = 3

    def _translate(self, x, to, rng):
        hidden = self.down(2 * x - 1).relu()
        kept = rng.uniform(*hidden.shape[1:])[:1] >= self.config.dropout
        return self.up(hidden * kept).sigmoid()


class BatchNormed(Cycle):
    """Statistics of the batch, also in evaluation."""

    decode_chunk = 3

    def _translate(self, x, to, rng):
        return (super()._translate(x, to, rng) - 0.3 * x.mean()).clamp(0, 1)


class Reversed(Cycle):
    """The pictures of a batch in another order."""

    decode_chunk = 3

    def _translate(self, x, to, rng):
        return super()._translate(x, to, rng).flip(0)


class Deaf(Cycle):
    """Whatever the picture is."""

    def _translate(self, x, to, rng):
        return super()._translate(torch.zeros_like(x), to, rng)


class OneWay(Cycle):
    """The same net in both directions."""

    def _translate(self, x, to, rng):
        return super()._translate(x, self.config.domains[1], rng)


class Back(Cycle):
    """The wrong net of the two for the second direction: it returns the picture in the first's size."""

    def _translate(self, x, to, rng):
        return super()._translate(x, to, rng) if to == self.config.domains[1] else x[:, :, :4]


class Noisy(Cycle):
    """Noise that the condition does not state."""

    def _translate(self, x, to, rng):
        return (super()._translate(x, to, rng) + 0.1 * rng.uniform(*x.shape[1:]).float()).clamp(0, 1)


class Fixed(Cycle):
    """`multiple` promises what the net cannot do."""

    def _translate(self, x, to, rng):
        return super()._translate(x, to, rng) + torch.zeros(1, 1, *self.image_shape[1:])


@dataclass(frozen=True, kw_only=True)
class SilentConfig(PairedConfig):
    noisy: ClassVar[bool] = False


class Silent(Paired):
    """The config says that there is no noise."""

    Config = SilentConfig


class Sampling(Paired):
    """`sample` draws something else than `translate`."""

    def _sample(self, rng, condition):
        return 1 - self._translate(condition, "photo", rng)


TRANSLATING = {
    "a translation of another size": (Shrinking, "of the size of its pictures"),
    "a tanh": (Ranged, r"images in \[0, 1\]"),
    "dropout off at test": (DropoutOff, "another seed gives another translation"),
    "noise of the process": (OwnNoise, "same seed and pictures|does not depend on the pictures beside it"),
    "one mask for a batch": (OneMask, "pictures beside it|one picture twice has two"),
    "batch statistics": (BatchNormed, "does not depend on the pictures beside it"),
    "another order": (Reversed, "pictures beside it|order of the pictures"),
    "a net without its picture": (Deaf, "another picture gives another translation"),
    "one net for both directions": (OneWay, "two directions are two functions"),
    "a direction that loses rows": (Back, "of the size of its pictures"),
    "noise that is not stated": (Noisy, "without noise, the seed changes nothing"),
    "a size that does not fit": (Fixed, "any multiple of 2"),
    "noise that is denied": (Silent, "without noise, the seed changes nothing"),
    "other samples": (Sampling, "is translate"),
}


class Chunked(Paired):
    """Honest, several pictures at a time."""

    decode_chunk = 4


class CaseText(Text):
    """Capitals are other words."""

    def encode(self, text):
        if isinstance(text, str) and text != text.lower():
            return [1] + [0] * (self.length - 1)
        return super().encode(text)


class HashText(Text):
    """The numbers of words are what Python hashes them to."""

    def encode(self, text):
        return [number and (number * 7) % len(self.vocabulary) + 1 for number in super().encode(text)]


class LenientText(Text):
    """Unknown words are left out."""

    def encode(self, text):
        known = [word for word in split(str(text)) if word in self.vocabulary]
        return super().encode(" ".join(known) or self.vocabulary[0])


class MuteText(Text):
    """Its errors do not say what there is."""

    @property
    def _hint(self):
        return ""


class MutePicture(Picture):
    """Its examples are no pictures that can be drawn."""

    def examples(self, n):
        return [f"picture {i}" for i in range(n)]


def _of(kind, method, change):
    """Return `kind` whose `method` gets its condition, the last argument, changed."""
    honest = getattr(kind, method)

    def changed(self, *arguments):
        *others, condition = arguments
        return honest(self, *others, change(condition))

    return type(f"{kind.__name__}{method}", (kind,), {method: changed})


def _told(kind, condition):
    return type(f"{kind.__name__}Told", (kind,), {"condition_type": condition})


def first_word(condition):
    kept = torch.zeros_like(condition)
    kept[:, 0] = condition[:, 0]
    return kept


TOLD = {
    "a generator without the text": (_of(TextGAN, "_decode", torch.zeros_like), "gives another sample"),
    "a discriminator without it": (_of(TextGAN, "_discriminate", torch.zeros_like), "gives another logit"),
    "a generator that hears one word of all": (
        _of(TextGAN, "_decode", lambda c: torch.full_like(c, int(c[0, 0]))),
        "has the condition of its own row|gives another sample",
    ),
    "texts of other rows": (_of(TextGAN, "_decode", lambda c: c.roll(1, 0)), "condition of its own row"),
    "texts of other rows that are judged": (
        _of(TextGAN, "_discriminate", lambda c: c.roll(1, 0)),
        "condition of its own row",
    ),
    "sources of other rows": (_of(Chunked, "_sample", lambda c: c.flip(0)), "condition of its own row"),
    "a translation without its source": (_of(Chunked, "_sample", torch.zeros_like), "gives another sample"),
    "capitals that are other words": (_told(TextGAN, CaseText), "in any case, spacing"),
    "numbers by another rule than words": (_told(TextGAN, HashText), "decode gives the words back"),
    "unknown words that are left out": (_told(TextGAN, LenientText), "a wrong condition is an error"),
    "errors that do not say what there is": (_told(TextGAN, MuteText), "a wrong condition is an error"),
    "examples that are no pictures": (_told(Cycle, MutePicture), "values that it takes"),
}
