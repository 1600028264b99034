"""A record goes into a ledger and comes out the same; older ledgers stay valid, and their text as it is."""

import dataclasses
import re
from pathlib import Path

import pytest

from genzoo.errors import ArgumentError
from genzoo.evaluation.likelihood import in_both_units
from genzoo.ledger import Row, format_row, parse_rows, read_rows
from genzoo.ledger.scores import KEYS, read_score, write_score
from genzoo.record import Record, difference, rank

LEDGER = Path(__file__).resolve().parents[2] / "zoo.toml"
ROWS = read_rows(LEDGER)
FRESH = Record(
    metric="kid",
    value=0.02,
    n=439,
    n_reference=439,
    stderr=0.005,
    blocks=8,
    subject="another",
    data="bedrooms",
    split="test",
    image_shape="3x64x64",
    features="gist-v1@001ecadca61e",
    protocol="seed 0",
    note="as measured",
)


def through(record, data="bedrooms, 3,940 images (train), 3×64×64, 8-bit"):
    """Return the record as a pushed row gives it back, and the keys that hold it."""
    row = Row(name="a", sha256="ab" * 32, bytes=1, sources=("folder:x",), data=data, scores=(record,))
    text = format_row(row)
    (back,) = parse_rows(text.encode(), Path("zoo.toml"))["a"].scores
    return back, set(re.findall(r"^(\w+) = ", text.partition("[[a.scores]]")[2], re.MULTILINE))


USUAL = {"metric", "value", "kind", "n", "stderr", "blocks", "subject", "data", "split", "transform"}


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({}, set()),
        ({"image_shape": "3x32x32"}, {"image_shape"}),
        ({"image_shape": ""}, {"image_shape"}),
        ({"n_reference": 1000}, {"n_reference"}),
        ({"n_reference": None}, {"n_reference"}),
        ({"better": "higher"}, {"better"}),
        ({"metric": "precision", "better": "higher"}, set()),
        ({"metric": "swd-16", "features": "", "unit": "1e-3"}, {"unit"}),
        ({"metric": "ms-ssim", "features": "", "better": "neither", "n_reference": None}, set()),
        ({"metric": "ink", "features": "", "n_reference": 439}, {"n_reference"}),
        ({"metric": "a[b]", "features": "", "n_reference": None}, {"features"}),
        ({"metric": "a", "features": "b][c", "n_reference": None}, set()),
        ({"condition": "label kitchen"}, {"condition"}),
        (
            {"metric": "agreement", "better": "higher", "condition": "test labels", "n_reference": None},
            {"condition"},
        ),
    ],
    ids=repr,
)
def test_nothing_is_lost_and_nothing_is_said_twice(changes, keys):
    record = dataclasses.replace(FRESH, **changes)
    back, written = through(record)
    assert back == record and written == USUAL | {"protocol", "note"} | keys
    assert difference(back, record) == ""


def test_what_was_given_has_a_key_of_its_own():
    row = Row(name="a", sha256="ab" * 32, bytes=1, sources=("folder:x",), data="bedrooms, 3×64×64, 8-bit")
    text = format_row(row.replace(scores=(dataclasses.replace(FRESH, condition="label dining room"),)))
    assert 'metric = "kid[gist-v1@001ecadca61e]"\n' in text and 'condition = "label dining room"\n' in text
    assert "condition" not in format_row(row.replace(scores=(FRESH,)))


def test_every_field_of_a_record_has_a_key():
    assert set(KEYS) == {field.name for field in dataclasses.fields(Record)}


def test_the_published_ledger_stays_as_it_is_to_the_letter():
    text = LEDGER.read_text("utf-8")
    assert ROWS.problems == () and sum(len(row.scores) for row in ROWS.values()) > 200
    for row in ROWS.values():
        assert format_row(row) in text, row.name


# measures of samples alone, which no images are compared with
ALONE = ("ms-ssim", "checkerboard", "agreement", "colour", "colour-by-chance", "variety")


@pytest.mark.parametrize("name", ROWS)
def test_a_published_score_is_compared_and_ranked_with_a_fresh_one(name):
    """Rows of an earlier genzoo never said of which size the images were, nor against how many."""
    for score in ROWS[name].scores:
        assert score.image_shape and score.data and score.n
        if score.metric != "copying":  # rows of an earlier genzoo do not say it of copying, later ones do
            alone = score.metric.partition("[")[0] in ALONE
            assert (score.n_reference is None) == (score.kind != "sample" or alone)
        fresh = dataclasses.replace(score, subject="fresh", value=score.value + 1)
        if score.better != "neither":
            best = rank([score, fresh])[0].subject
            assert (best == "fresh") == (score.better == "higher")
        larger = dataclasses.replace(fresh, image_shape="3x256x256")
        assert difference(score, larger).startswith("image_shape differs")


def test_a_likelihood_that_is_measured_now_has_the_shape_that_its_row_tells():
    import torch

    score = next(s for s in ROWS["vae-mnist"].scores if s.kind == "elbo")
    about = {"metric": "nll", "kind": "elbo", "data": score.data, "transform": score.transform}
    fresh, _ = in_both_units(torch.ones(score.n), (1, 28, 28), {**about, "protocol": score.protocol})
    assert difference(score, fresh) == ""


def test_what_a_hand_wrote_is_read_as_far_as_it_goes():
    bare = read_score({"metric": "KID", "value": 3, "unit": ""})
    assert (bare.n, bare.data, bare.unit, bare.better, bare.n_reference) == (0, "", "1", "lower", None)
    assert write_score(bare) == {"metric": "KID", "value": 3.0, "kind": "sample", "n": 0}
    for wrong, words in (
        ({"n": "many"}, "n must be a whole number"),
        ({"n": -1}, "n must lie between 0"),
        ({"n_reference": False}, "n_reference must be a whole number"),
        ({"better": "bigger"}, "better must be one of lower, higher, neither"),
        ({"metric": ""}, "a record needs a metric and a unit"),
    ):
        with pytest.raises(ArgumentError, match=words):
            read_score({"metric": "kid", "value": 3.0, **wrong})
