"""Whether colour words are heeded: by models of which it is known, and by photographs."""

import numpy as np
import pytest
import torch
from genzoo_text import colours
from genzoo_text.colours import CHANCE, METRIC, colour_word, measure_colours
from genzoo_text.textgan import TextGAN
from text_toys import PAINT, TEXT, bed, painted, tiny

from genzoo.data import Images
from genzoo.datasets import NAMES
from genzoo.evaluation import Request, subset
from genzoo.evaluation.measures import measures
from genzoo.evaluation.scoring import score_model
from genzoo.record import FLOOR

FLOWERS = NAMES["flowers102"].classes
TRAIN = [("red", "rose"), ("yellow", "daffodil"), ("red", "rose"), ("yellow", "daffodil")] * 4
TEST = [("yellow", "rose"), ("red", "daffodil")] * 4
PICTURES = torch.stack([torch.from_numpy(painted(name).copy()) for name in ("red", "yellow")]).float() / 255


class Obedient(TextGAN):
    """Draws a red disc where the text says red, else a yellow one."""

    def _decode(self, z, condition):
        red = (condition == TEXT.vocabulary.index("red") + 1).any(1)
        return torch.where(red[:, None, None, None], *PICTURES) + 0 * z.sum()


class Deaf(TextGAN):
    """Draws red, whatever it is told."""

    def _decode(self, z, condition):
        return PICTURES[:1].expand(len(z), -1, -1, -1)


class Contrary(Obedient):
    def _decode(self, z, condition):
        yellow = (condition == TEXT.vocabulary.index("yellow") + 1).any(1)
        return torch.where(yellow[:, None, None, None], *PICTURES) + 0 * z.sum()


class Knowing(TextGAN):
    """Knows which colours its flowers had, not what a word says."""

    def _decode(self, z, condition):
        rose = (condition == TEXT.vocabulary.index("rose") + 1).any(1)
        return torch.where(rose[:, None, None, None], *PICTURES) + 0 * z.sum()


def table(records):
    """Return the records about colours: (metric, subject is the floor, condition) → record."""
    return {
        (record.metric, record.subject == FLOOR, record.condition): record
        for record in records
        if record.metric in (METRIC, CHANCE)
    }


def by_chance(images, shown, words, learned=()):
    """Return for each photograph which of its texts have its colour, (row → 0.0 or 1.0 each), if every text
    is taken for the one that was asked half of the texts before.
    """
    pairs = [
        (row, text) for row, texts in enumerate(images.captions) for text in texts if text not in learned
    ]
    chosen = [pairs[place] for place in subset(len(pairs), len(pairs), 0, words).tolist()]
    said = [colour_word(text) for _, text in chosen]
    half, found = len(said) // 2, {}
    for (row, _), other in zip(chosen, said[-half:] + said[:-half], strict=True):
        found.setdefault(row, []).append(float(shown[row] == other))
    return list(found.values())


def measured(kind, train=TRAIN, test=TEST, text=None, **request):
    model = tiny(kind, image_shape=(3, 16, 16)).eval()
    told = model if text is None else model.given(text)
    return table(measure_colours(told, bed(train), bed(test, "test"), Request(**request), subject="toy"))


@pytest.mark.parametrize(
    ("kind", "seen", "unseen"),
    [(Obedient, 1.0, 1.0), (Deaf, 0.5, 0.5), (Contrary, 0.0, 0.0), (Knowing, 0.75, 0.0)],
)
def test_words_that_are_heeded_and_words_that_are_not(kind, seen, unseen):
    found = measured(kind)
    kinds = {"train captions": seen, "unseen captions": unseen}
    for condition, share in kinds.items():
        record = found[METRIC, False, condition]
        # of Knowing, "a red flower" names no flower, and is drawn yellow
        assert record.value == pytest.approx(share) and record.better == "higher"
        assert found[METRIC, True, condition].value == 1
    learned = {text for texts in bed(TRAIN).captions for text in texts}
    for condition, plants, known in (("train captions", TRAIN, ()), ("unseen captions", TEST, learned)):
        shares = by_chance(bed(plants), [colour for colour, _ in plants], condition, known)
        assert found[CHANCE, True, condition].value == pytest.approx(np.concatenate(shares).mean())
    assert found[METRIC, False, "train captions"].n == 32 and found[METRIC, False, "unseen captions"].n == 8
    assert {key[2] for key in found} == set(kinds)


def test_only_what_no_training_image_says_is_unseen():
    found = measured(Obedient, test=[*TRAIN[:6], ("yellow", "rose"), ("yellow", "rose")])
    assert found[METRIC, False, "unseen captions"].n == 2
    assert not any(key[2] == "unseen captions" for key in measured(Obedient, test=TRAIN[:8]))


def test_a_request_limits_how_many():
    found = measured(Obedient, n=7)
    assert {record.n for record in found.values()} == {7}


def test_photographs_that_disagree_lower_the_ceiling():
    train, test = bed(TRAIN), bed(TEST, "test")
    wrong = test.replace(pixels=np.stack([painted("red", number=i) for i in range(len(TEST))]))
    model = tiny(Obedient, image_shape=(3, 16, 16)).eval()
    found = table(measure_colours(model, train, wrong, Request(), subject="toy"))
    record = found[METRIC, True, "unseen captions"]
    assert (record.value, record.split, record.data) == (0.5, "test", "bed")


def test_a_photograph_with_two_texts_counts_once_in_the_errors():
    plants = [("yellow", "rose"), ("red", "daffodil")] * 12
    shown = [colour if row % 4 else "white" for row, (colour, _) in enumerate(plants)]
    words = tuple((f"a {colour} {name}", f"a photograph of a {colour} {name}") for colour, name in plants)
    painted_so = [(colour, name) for colour, (_, name) in zip(shown, plants, strict=True)]
    test = bed(painted_so, "test").replace(captions=words)
    model = tiny(Deaf, image_shape=(3, 16, 16)).eval()
    found = table(measure_colours(model, bed(TRAIN), test, Request(), subject="toy"))
    agree = [[float(colour != "white")] * 2 for colour in shown]
    chance = by_chance(test, shown, "unseen captions")
    for metric, right in ((METRIC, agree), (CHANCE, chance)):
        record, means = found[metric, True, "unseen captions"], np.mean(right, 1)
        assert record.value == pytest.approx(means.mean())
        assert (record.n, record.blocks) == (48, 24)
        assert record.stderr == pytest.approx(means.std(ddof=1) / 24**0.5)
    own = found[METRIC, False, "unseen captions"]
    # each sample is another one
    assert (own.value, own.blocks) == (0.5, None) and own.stderr == pytest.approx(0.5 / 47**0.5)


def test_one_text_for_all():
    text, words = "a yellow rose", 'text "a yellow rose"'
    for kind, share in ((Obedient, 1.0), (Deaf, 0.0)):
        found = measured(kind, test=[("yellow", "rose")] * 3, text=text)
        assert {key: record.value for key, record in found.items()} == {
            (METRIC, False, words): share,
            (METRIC, True, words): 1.0,
        }
    assert not measured(Obedient, text="a photograph of a rose")


def test_eval_measures_them_beside_the_quality_of_samples():
    model = tiny(Obedient, image_shape=(3, 16, 16)).eval()
    found = score_model(model, bed(TRAIN), bed(TEST, "test"), Request(), subject="toy")
    assert {"kid", METRIC, CHANCE} <= {record.metric for record in found}
    lines = [str(record) for record in found if record.metric == METRIC]
    assert any(line.startswith("colour given unseen captions of toy: 1 ") for line in lines)
    few = score_model(model, bed(TRAIN), bed(TEST, "test"), Request(metrics=("swd",)), subject="toy")
    assert METRIC not in {record.metric for record in few}


def test_grey_images_and_captions_without_colours_have_no_such_records():
    grey = tiny(image_shape=(1, 16, 16)).eval()
    train, test = (bed(plants, split) for plants, split in ((TRAIN, "train"), (TEST, "test")))
    flat = [images.replace(pixels=images.pixels[:, :1].copy()) for images in (train, test)]
    plain = [images.replace(captions=(("a rose",),) * len(images)) for images in (train, test)]
    for model, (one, other) in ((grey, flat), (tiny(image_shape=(3, 16, 16)).eval(), plain)):
        assert not list(measure_colours(model, one, other, Request(), subject="toy"))
    assert measures.dispatch(TextGAN) is colours.measure_text


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("a red rose", "red"),
        ("A flower with YELLOW petals", "yellow"),
        ("a photograph of a purple passion flower", "purple"),
        ("a rose", ""),
        ("a red and yellow flower", ""),
        ("a pink primrose", ""),  # its name, whatever its colour
        ("a photograph of a yellow iris", ""),
        ("a pink-yellow dahlia", ""),
        ("a giant white arum lily", ""),
        ("a yellow lotus", "yellow"),
        ("an orange tiger lily", "orange"),
        ("a redwood", ""),
    ],
)
def test_colour_words(text, colour):
    assert colour_word(text, FLOWERS) == colour


def test_names_count_only_where_there_are_names():
    assert colour_word("a pink primrose") == "pink" and colour_word("a pink rose", ("pinkish",)) == "pink"


def test_every_colour_that_is_asked_for_can_be_measured():
    assert colours.CODES[1:] == colours.COLOURS
    for name in set(PAINT) - {"green"}:
        image = Images(pixels=painted(name)[None])
        assert colours.CODES[int(colours.colours_of(image.pixels)[0])] == name
