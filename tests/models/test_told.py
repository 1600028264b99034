"""Pictures and texts as conditions: what is taken, what is refused, and how a picture is translated."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import torch
from told_toys import CYCLE, PAIRED, SENTENCES, TEXT, WORDS, Cycle, Paired, TextGAN, card

from genzoo import Labels, Picture, Text
from genzoo.condition.text import split
from genzoo.errors import ArgumentError, CardError, UnknownNameError
from genzoo.hub.facts import as_stated
from genzoo.models import TranslatingModel, golden
from genzoo.models.panel import LEAST, panel
from genzoo.models.rows import drawn_picture
from genzoo.models.weights import build_filled, encode


def built(kind, **config):
    torch.manual_seed(0)
    return card(kind).build(**config).eval()


def pictures(n=5, shape=(3, 8, 8)):
    return torch.from_numpy(np.random.default_rng(0).random((n, *shape), dtype=np.float32))


class TestText:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("A red rose", ["a", "red", "rose"]),
            ("  black-eyed\tSUSAN's!", ["black", "eyed", "susan", "s"]),
            ("Stra\u00dfe 12\u00b2", ["stra\u00dfe"]),
            (unicodedata.normalize("NFD", "\u00c9t\u00e9"), ["\u00e9t\u00e9"]),
            ("\u4e2d\u6587 \u0440\u043e\u0437\u0430", ["\u4e2d\u6587", "\u0440\u043e\u0437\u0430"]),
            ("12 % \x1b[", []),
            ("", []),
        ],
    )
    def test_words_are_letters_in_lower_case(self, text, words):
        assert split(text) == words

    def test_numbers_begin_at_1_and_end_with_0(self):
        assert TEXT.encode("A RED rose!") == [1, 4, 5, 0]
        assert TEXT.decode([1, 4, 5, 0]) == "a red rose"
        assert TEXT.describe(torch.tensor([1, 4, 5, 0])) == TEXT.describe("a red rose") == 'text "a red rose"'

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a rde rose", "unknown word 'rde' .did you mean 'red' or 'rose'"),
            ("blu yelow", "unknown words 'blu' .did you mean 'blue'.., 'yelow' .did you mean 'yellow'"),
            ("x " + " y" * 2, "unknown words 'x', 'y'"),
            ("", "no word in an empty text"),
            (" 12 \x1b[2%\n", "there is no word in"),
            ("a " * 5, "5 words is too long — this model takes a text of up to 4 words, of 6"),
            ("a " * 10_000, "10,000 words is too long"),
            ("a" * 200_000, "200,000 characters is too long"),
            (b"a rose", "must be a str, not b'a rose'"),
            (float("nan"), "not nan"),
            (3, "must be a str, not 3"),
        ],
    )
    def test_others_are_refused_in_one_line(self, text, said):
        for ask in (TEXT.encode, lambda t: built(TextGAN).sample(2, condition=t)):
            with pytest.raises((ArgumentError, UnknownNameError), match=said) as refused:
                ask(text)
            hint = f" — this model takes {TEXT.words}; for example 'a red rose'"
            assert str(refused.value).isprintable() and str(refused.value).endswith(hint)

    @pytest.mark.parametrize(
        "facts",
        [
            ((), 3, ("a",)),
            (WORDS, 0, ("a",)),
            (WORDS, 2.5, ("a",)),
            (WORDS, 3, ()),
            (WORDS, 1, ("a rose",)),
            (WORDS, 3, ("a tulip",)),
            (("Rose",), 3, ("rose",)),
            (("a rose",), 3, ("a",)),
            (("a", "a"), 3, ("a",)),
            ("abc", 3, ("a",)),
            (WORDS, 3, "a rose"),
            ((1, 2), 3, ("a",)),
        ],
    )
    def test_a_text_condition_that_cannot_be_is_refused(self, facts):
        with pytest.raises(CardError):
            Text(*facts)

    def test_it_can_be_made_of_captions(self):
        made = Text.of_captions(["A red rose.", "a blue daisy", "12", "A red rose."], sentences=1)
        assert made == Text(("a", "blue", "daisy", "red", "rose"), 3, ("A red rose.",))
        with pytest.raises(CardError, match="no caption has a word"):
            Text.of_captions(["12", ""])

    def test_rows(self):
        model = built(TextGAN)
        one, each = model.check_condition("a rose", 2)[0], model.check_condition(["a rose", "red"], 2)[0]
        assert each.dtype == torch.int64 and each.tolist() == [[1, 5, 0, 0], [4, 0, 0, 0]]
        assert torch.equal(one, each[:1].expand(2, 4))
        assert torch.equal(model.check_condition(each.numpy(), 2)[0], each)
        assert model.check_condition(torch.zeros(2, 4, dtype=torch.int64), 2)[0].sum() == 0
        many = model.check_condition(np.array(["a rose", "red"]), 2)[0]
        assert torch.equal(many, each)

    def test_each_row_has_its_own(self):
        model = built(TextGAN)
        mixed = model.sample(3, seed=0, condition=list(SENTENCES))
        for i, sentence in enumerate(SENTENCES):
            assert torch.equal(model.sample(3, seed=0, condition=sentence)[i], mixed[i])
        assert torch.equal(model.given("a red rose").sample(1, seed=0)[0], mixed[0])


class TestPicture:
    def test_what_it_says(self):
        assert (PAIRED.words, PAIRED.brief) == ("a picture, map → photo, 3×8×8", "map → photo")
        assert CYCLE.brief == "horse ↔ zebra" and CYCLE.typed == "horse.png"
        assert PAIRED.as_dict() == {
            "kind": "picture",
            "shape": [3, 8, 8],
            "domains": ["map", "photo"],
            "both_ways": False,
            "noisy": True,
        }

    @pytest.mark.parametrize(
        "facts",
        [
            {"shape": (2, 8, 8)},
            {"shape": (3, 8)},
            {"shape": (3, 0, 8)},
            {"shape": "388"},
            {"shape": (3, 8.0, 8)},
            {"domains": ("map",)},
            {"domains": ("map", "MAP")},
            {"domains": ("map", "")},
            {"domains": ("map", "\x1b[2J")},
            {"domains": "ab"},
            {"noisy": 1},
            {"both_ways": None},
        ],
    )
    def test_one_that_cannot_be_is_refused(self, facts):
        with pytest.raises(CardError):
            Picture(**facts)

    def test_a_digest_tells_pictures_apart(self):
        one, other = pictures(2)
        words = PAIRED.describe(one)
        assert words.startswith("map sha256 ") and words != PAIRED.describe(other)
        assert words == PAIRED.describe((one * 255).round().to(torch.uint8)) == PAIRED.describe(one.numpy())

    def test_drawn_ones_are_the_same_everywhere(self):
        found = drawn_picture((3, 8, 8), 1)
        assert found.shape == (1, 3, 8, 8) and not torch.equal(found, drawn_picture((3, 8, 8), 0))
        assert found[0, 0, 0, 0] == found[0, 0, 1, 1] and len(found.unique()) == 48
        assert (found[0, :, 0, 0] * 1000).round().tolist() == [545.0, 23.0, 759.0]

    def test_rows(self):
        model = built(Paired)
        x = pictures(2)
        for given in (x, x.numpy(), [x[0], x[1:]], [x[0].numpy(), x[1]]):
            assert torch.equal(model.check_condition(given, 2)[0], x)
        assert torch.equal(model.check_condition(x[0], 3)[0], x[:1].expand(3, 3, 8, 8))
        bytes_ = torch.full((2, 3, 8, 8), 51, dtype=torch.uint8)
        assert torch.allclose(model.check_condition(bytes_, 2)[0], torch.tensor(0.2))

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (None, "needs a condition: it takes a picture, map → photo"),
            ("map.png", "a picture must be an array"),
            ("drawn:9999999", "a picture must be an array"),
            (b"x", "a picture must be an array"),
            (7, "a picture must be an array"),
            ([], "0 pictures for 2 images"),
            (torch.zeros(3, 3, 8, 8), "3 pictures for 2 images"),
            (torch.zeros(2, 1, 8, 8), r"x.expand\(-1, 3, -1, -1\)"),
            (torch.zeros(2, 3, 9, 8), r"must have shape \(N, 3, 8, 8\)"),
            (torch.zeros(2, 3, 8, 8) - 0.5, r"\[-1, 1\]"),
            (torch.full((2, 3, 8, 8), torch.nan), "NaN"),
            (torch.zeros(2, 3, 8, 8, dtype=torch.int64), "uint8 in 0..255"),
        ],
    )
    def test_others_are_refused(self, value, said):
        with pytest.raises(ArgumentError, match=said) as refused:
            built(Paired).sample(2, condition=value)
        assert str(refused.value).isprintable()


class TestTranslate:
    def test_one_for_each_in_order_and_size(self):
        model, x = built(Paired), pictures()
        found = model.translate(x)
        assert found.shape == (5, 1, 8, 8) and found.dtype == torch.float32
        assert torch.equal(found, model.sample(5, seed=0, condition=x))
        for i in (0, 1):
            assert torch.equal(model.translate(x[: i + 1])[i], found[i])
        assert model.translate(pictures(2, (3, 12, 6)), seed=None).shape == (2, 1, 12, 6)

    def test_chunks_do_not_matter(self):
        kind = type("Chunked", (Paired,), {"decode_chunk": 4})
        model, x = kind(Paired.Config()).eval(), pictures(6)
        seen = []
        found = model.translate(x, progress=lambda *at: seen.append(at))
        assert seen == [(256, 384), (384, 384)]
        assert torch.equal(model.translate(x[:1])[0], found[0])

    def test_both_ways(self):
        model, x = built(Cycle), pictures(3, (1, 8, 8))
        there, back = model.translate(x, "ZEBRA"), model.translate(x, " horse")
        assert torch.equal(there, model.translate(x)) and not torch.equal(there, back)

    @pytest.mark.parametrize(
        ("kind", "to", "said"),
        [
            (Paired, "phto", "no domain 'phto'; did you mean 'photo'"),
            (Paired, "map", "does not translate into 'map'.*to='photo'"),
            (Cycle, "cow", "no domain 'cow'.*to='horse' or 'zebra'"),
            (Cycle, 3, "to must be the name of a domain, not 3"),
        ],
    )
    def test_a_domain_is_named(self, kind, to, said):
        with pytest.raises((ArgumentError, UnknownNameError), match=said):
            built(kind).translate(pictures(1, kind.Config().source_shape), to)

    @pytest.mark.parametrize(
        ("images", "said"),
        [
            (torch.zeros(1, 1, 8, 8), r"must have 3 channels, not 1 — grey pictures .*x.expand"),
            (torch.zeros(1, 3, 9, 8), "multiples of 2, not 9x8 — resize or crop to 10x8"),
            (torch.zeros(1, 3, 0, 8), "multiples of 2, not 0x8"),
            (torch.zeros(0, 3, 8, 8), "at least one picture"),
            (torch.zeros(3, 8, 8), r"images\[None\]"),
            (torch.zeros(1, 8, 8, 3), "channels come before"),
            ("map.png", "not str"),
        ],
    )
    def test_others_are_refused(self, images, said):
        with pytest.raises(ArgumentError, match=said):
            built(Paired).translate(images)

    def test_one_size_alone(self):
        kind = type("Rigid", (Paired,), {"multiple": 0})
        with pytest.raises(ArgumentError, match="must be 8x8, not 16x16: Rigid takes one size"):
            kind(Paired.Config()).translate(torch.zeros(1, 3, 16, 16))

    def test_a_translation_of_another_size_is_the_author_s_mistake(self):
        kind = type("Lost", (Paired,), {"_translate": lambda self, x, to, rng: x[:, :1, 1:]})
        with pytest.raises(CardError, match=r"Lost._translate returned the shape \(1, 1, 7, 8\)"):
            kind(Paired.Config()).translate(pictures(1))

    def test_the_method_is_named_if_it_is_missing(self):
        kind = type("Empty", (TranslatingModel,), {"Config": Paired.Config})
        with pytest.raises(TypeError, match="_translate"):
            kind()


class TestConfig:
    def test_the_source_follows_the_size(self):
        model = built(Paired, image_shape=(1, 16, 12))
        assert (
            model.condition.shape == (3, 16, 12) and model.translate(pictures(1, (3, 16, 12))).shape[3] == 12
        )

    def test_sides_that_differ_are_refused(self):
        with pytest.raises(CardError, match="a translation keeps the size — source_shape=3,8,8"):
            card(Paired).build(source_shape=(3, 16, 16))

    def test_overrides_of_a_text_are_checked(self):
        with pytest.raises(CardError, match=r"the sentence 'a red rose'.*too long"):
            card(TextGAN).build(text_length=2)

    def test_weights_keep_what_they_take(self):
        for kind, condition in (
            (Cycle, Picture((1, 8, 8), ("cat", "dog"), both_ways=True, noisy=False)),
            (TextGAN, Text(("sky",), 2, ("sky",))),
        ):
            own = card(kind, condition=condition).build()
            blob = encode(own, "toy", golden.record(own))
            assert build_filled(card(kind), blob, "weights").condition == condition
            assert as_stated(card(kind), blob).condition == condition

    @pytest.mark.parametrize("kind", [Paired, Cycle, TextGAN])
    def test_golden_outputs_state_theirs(self, kind):
        model = built(kind)
        found = golden.record(model)
        assert found["condition"] == model.condition.examples(2)
        assert "agree" in golden.compare(model, found, "toy")
        for hostile in ([7, 7], ["mouse", 0], [0], {"a": 1}, [[0], [1]], [None, "drawn:-1"]):
            with pytest.raises(golden.WeightsError):
                golden.compare(model, {**found, "condition": hostile}, "toy")


class TestPanel:
    def test_ten_labels_have_four_columns_at_least(self):
        import conditional_toys

        labels = Labels(tuple("0123456789"))
        model = conditional_toys.card(conditional_toys.LabelGAN, condition=labels).build().eval()
        images, columns = panel(model, 16)
        assert columns == LEAST == 4 and len(images) == 40
        assert torch.equal(images[4:8], model.sample(4, 0, condition="1"))
        assert panel(model, 64)[1] == 6

    def test_a_text_has_a_row_for_each_sentence(self):
        images, columns = panel(built(TextGAN), 16)
        assert columns == 5 and len(images) == 15

    def test_translations_stand_below_their_sources(self):
        model = built(Paired)
        images, columns = panel(model, 16)
        assert columns == 10 and images.shape == (20, 3, 8, 8)
        assert torch.equal(images[10:, :1], model.translate(images[:10]))
