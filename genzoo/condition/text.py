"""Text: the condition of a model that draws what a few words say (Reed et al. 2016).

A text is normalised and encoded alike on every machine: Unicode form NFC, lower case, words of letters, and
their numbers in the vocabulary from 1; 0 fills up a text that is shorter than the longest.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from genzoo.condition.base import SHOWN, Condition
from genzoo.errors import ArgumentError, CardError, GenzooError, UnknownNameError, safe_repr, safe_text
from genzoo.whole import whole

MOST_WORDS, MOST_SENTENCES, LONGEST_TEXT = 100_000, 1_000, 1_000
MOST_SIGNS = 100_000  # of a text, before it is read
NEAREST = 3  # known words that an error names for an unknown one


@dataclass(frozen=True)
class Text(Condition):
    """A text of known words: `Text(("a", "flower", "red"), length=3, sentences=("a red flower",))`.

    The config of the model has the fields `vocabulary`, `text_length` and `sentences`.

    Attributes:
        vocabulary: the words, in the order of their numbers 1, 2, …, each as `split` gives it.
        length: the largest number of words in a text.
        sentences: examples: what `--condition all` draws, and what golden outputs and laws use.

    Raises:
        CardError: no word or no sentence, two equal words, a word or sentence that cannot be read, a length
            out of range.
    """

    vocabulary: tuple[str, ...]
    length: int
    sentences: tuple[str, ...]
    kind: ClassVar[str] = "text"
    each: ClassVar[str] = "captions"

    def __post_init__(self) -> None:
        for key, most in (("vocabulary", MOST_WORDS), ("sentences", MOST_SENTENCES)):
            object.__setattr__(self, key, _listed(getattr(self, key), key, most))
        length = whole(self.length)
        if length is None or not 1 <= length <= LONGEST_TEXT:
            raise CardError(
                f"the length of a Text must be a whole number from 1 to {LONGEST_TEXT:,}, not "
                f"{safe_repr(self.length)}"
            )
        object.__setattr__(self, "length", length)
        wrong = [word for word in self.vocabulary if split(word) != [word]]
        if wrong:
            raise CardError(
                f"a word of the vocabulary must be letters in lower case, not {safe_repr(wrong[0])}",
                f"genzoo.condition.text.split gives its words: {split(wrong[0])[:SHOWN]}",
            )
        if len(self._numbers) < len(self.vocabulary):
            twice = next(w for i, w in enumerate(self.vocabulary, 1) if self._numbers[w] != i)
            raise CardError(f"the vocabulary has the word {twice!r} twice")
        for sentence in self.sentences:
            try:
                self.encode(sentence)
            except GenzooError as error:
                words = f"the sentence {safe_repr(sentence)}: {error.message}"
                raise CardError(words, f"it must be {self.words}") from error

    @classmethod
    def of_captions(cls, captions: Iterable[str], sentences: int = SHOWN) -> Text:
        """Return the condition that knows all words of `captions`, with the first few different ones as
        sentences.

        Raises:
            CardError: no captions with words, or more than can be known.
        """
        different = [text for text in dict.fromkeys(captions) if split(text)]
        if not different:
            raise CardError("no caption has a word", 'a caption is words of letters, such as "a red rose"')
        words = [split(text) for text in different]
        longest = max(map(len, words))
        known = sorted({word for each in words for word in each})
        return cls(tuple(known), longest, tuple(different[:sentences]))

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.vocabulary, 1)}

    @property
    def words(self) -> str:
        """The longest text and the first words: "a text of up to 6 words, of 40 known: a, blue, …"."""
        shown = self.vocabulary[:SHOWN]
        more = ", …" * (len(self.vocabulary) > SHOWN)
        return f"{self.brief}, of {len(self.vocabulary):,} known: {', '.join(shown)}{more}"

    @property
    def brief(self) -> str:
        """The longest text."""
        return f"a text of up to {self.length} word{'s' * (self.length != 1)}"

    @property
    def typed(self) -> str:
        """The first sentence."""
        return self.sentences[0]

    @property
    def config(self) -> dict[str, Any]:
        """`{"vocabulary": words, "text_length": length, "sentences": sentences}`."""
        return {"vocabulary": self.vocabulary, "text_length": self.length, "sentences": self.sentences}

    @classmethod
    def of(cls, config: Any) -> Text:
        """Return the condition of a config that has `vocabulary`, `text_length` and `sentences`."""
        return cls(tuple(config.vocabulary), config.text_length, tuple(config.sentences))

    def encode(self, text: Any) -> list[int]:
        """Return the numbers of the words of `text`, filled up with 0 to `length`.

        Raises:
            ArgumentError: not a text, one without a word, or one with more than `length`.
            UnknownNameError: words that the vocabulary lacks; the message gives the nearest.
        """
        if not isinstance(text, str):
            raise ArgumentError(f"a text must be a str, not {safe_text(safe_repr(text), 100)}", self._hint)
        if len(text) > MOST_SIGNS:
            raise ArgumentError(f"a text of {len(text):,} characters is too long", self._hint)
        words = split(text)
        if not words:
            what = f"in {safe_repr(safe_text(text, 60))}" if text.strip() else "in an empty text"
            raise ArgumentError(f"there is no word {what}", self._hint)
        if len(words) > self.length:
            raise ArgumentError(f"a text of {len(words):,} words is too long", self._hint)
        unknown = [word for word in dict.fromkeys(words) if word not in self._numbers]
        if unknown:
            raise UnknownNameError(self._unknown(unknown), self._hint)
        return [self._numbers[word] for word in words] + [0] * (self.length - len(words))

    def _unknown(self, words: Sequence[str]) -> str:
        named = [f"{safe_text(word, 60)!r}{self._near(word)}" for word in words[:NEAREST]]
        more = f" and {len(words) - NEAREST:,} more" if len(words) > NEAREST else ""
        return f"unknown word{'s' * (len(words) > 1)} {', '.join(named)}{more}"

    def _near(self, word: str) -> str:
        import difflib  # only a word that is not known needs it

        near = difflib.get_close_matches(word[:60], self.vocabulary, n=NEAREST, cutoff=0.5)
        return f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""

    @property
    def _hint(self) -> str:
        return f"this model takes {self.words}; for example {self.typed!r}"

    def decode(self, numbers: Iterable[Any]) -> str:
        """Return the words of one row of numbers, with spaces between them.

        Raises:
            ArgumentError: something else than whole numbers of words.
        """
        found = [whole(number) for number in numbers]
        if any(n is None or not 0 <= n <= len(self.vocabulary) for n in found):
            raise ArgumentError(
                f"numbers of words run from 0 to {len(self.vocabulary):,}, not {safe_text(found, 100)}",
                self._hint,
            )
        return " ".join(self.vocabulary[number - 1] for number in found if number)

    def examples(self, n: int) -> list[Any]:
        """Return `n` sentences, spread from the first to the last."""
        last = len(self.sentences) - 1
        return [self.sentences[round(i * last / max(n - 1, 1))] for i in range(n)]

    def describe(self, value: Any) -> str:
        """Return `text "a red flower"` for a text, or for one row of numbers."""
        words = value if isinstance(value, str) else self.decode(value.tolist())
        return f'text "{safe_text(words, 200)}"'

    def as_dict(self) -> dict[str, Any]:
        """Return kind, vocabulary, length and sentences."""
        return {
            "kind": self.kind,
            "vocabulary": list(self.vocabulary),
            "length": self.length,
            "sentences": list(self.sentences),
        }


def split(text: str) -> list[str]:
    """Return the words of `text`: what lies between signs that are no letters, in lower case and form NFC."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    return "".join(sign if _is_letter(sign) else " " for sign in plain).split()


def _is_letter(sign: str) -> bool:
    # a mark that NFC has no single character for belongs to the letter before it
    return sign.isalpha() or unicodedata.category(sign).startswith("M")


def _listed(values: Any, what: str, most: int) -> tuple[str, ...]:
    texts = isinstance(values, Sequence) and not isinstance(values, str)
    if not texts or not all(isinstance(value, str) for value in values):
        raise CardError(f"{what} of a Text must be a list of texts, not {safe_text(safe_repr(values), 100)}")
    if not 1 <= len(values) <= most:
        raise CardError(f"a Text must have 1 to {most:,} {what}, not {len(values):,}")
    return tuple(values)
