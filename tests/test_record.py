"""Records know what they may be compared with."""

import copy
import dataclasses
import json
import pickle
import subprocess
import sys

import pytest

from genzoo.errors import ArgumentError
from genzoo.record import Record, Records, beside_floor, comparable, difference, rank, standings


def record(**changes):
    fields = {
        "metric": "kid",
        "value": 0.02,
        "n": 438,
        "n_reference": 438,
        "data": "bedrooms",
        "features": "gist-v1@00",
        "stderr": 0.004,
    }
    return Record(**{**fields, **changes})


def test_a_record_is_ready_for_json():
    row = json.loads(json.dumps(record().as_dict(), allow_nan=False))
    assert {"metric", "value", "unit", "kind", "n", "stderr", "data", "transform"} <= set(row)
    assert row["metric"] == "kid"
    assert row["label"] == "kid[gist-v1@00]"
    assert Record(**{key: value for key, value in row.items() if key != "label"}) == record()


def test_a_record_reads_as_a_sentence():
    assert str(record(subject="dcgan")) == (
        "kid[gist-v1@00] of dcgan: 0.02 ± 0.004 (n = 438 against 438, bedrooms test, 8-bit)"
    )
    bound = record(
        metric="nll",
        kind="elbo",
        unit="nats",
        value=87.9,
        features="",
        stderr=None,
        n_reference=None,
        transform="static-binarised",
    )
    assert str(bound) == "nll of samples: ≤ 87.9 nats (ELBO, n = 438, bedrooms test, static-binarised)"
    density = dataclasses.replace(
        bound, protocol="KL exact, density of real-valued pixels", blocks=8, stderr=65.0
    )
    said = (
        "nll of samples: ≤ 87.9 ± 65 nats (ELBO, KL exact, density of real-valued pixels, n = 438 in "
        "8 blocks, bedrooms test, "
    )
    assert str(density) == said + "static-binarised)"
    part = record(
        metric="nll",
        kind="exact",
        unit="nats",
        features="",
        protocol="images chosen by seed 3",
        n_reference=None,
    )
    assert "(images chosen by seed 3, n = 438," in str(part)


def test_what_was_given_is_a_part_of_the_name():
    one, plain = record(subject="dcgan", condition="label kitchen"), record(subject="dcgan")
    assert (one.label, one.short_label) == (
        "kid[gist-v1@00] given label kitchen",
        "kid[gist-v1] given label kitchen",
    )
    assert str(one).startswith("kid[gist-v1@00] given label kitchen of dcgan: 0.02 ± 0.004 (n = 438")
    assert one.as_dict()["condition"] == "label kitchen" and plain.as_dict()["condition"] == ""
    assert one.bare_label == plain.label and plain.given == ""
    assert "<th>kid[gist-v1@00] given label kitchen</th>" in Records([one])._repr_html_()
    assert "<th>condition</th><td>label kitchen</td>" in one._repr_html_()
    floor = record(subject="train", condition="label kitchen")
    assert beside_floor([one, floor, plain]) == [(one, floor), (plain, None)]


def test_other_conditions_are_not_ranked_together():
    given = [record(subject=name, condition="test labels") for name in "ab"]
    shared, apart = standings([*given, record(subject="c"), record(subject="d", condition="label 7")])
    assert shared == [given]
    assert apart[0] == (
        "a and c are not ranked together: condition differs, 'test labels' and '': p(x) and p(x|c) are "
        "different tasks, and so is each c"
    )
    assert "condition differs, '' and 'label 7'" in apart[-1]


OTHERS = {
    "metric": "fid",
    "unit": "nats",
    "kind": "elbo",
    "features": "gist-v2@00",
    "data": "faces",
    "split": "valid",
    "transform": "static-binarised",
    "condition": "label kitchen",
    "drawn": "temperature 0.5",
    "image_shape": "3x32x32",
    "n": 1000,
    "n_reference": 1000,
    "protocol": "seed 1",
}


def test_another_device_is_said_and_forbids_no_comparison():
    own, other = record(device="cpu"), record(subject="other", device="cuda")
    assert comparable(own, other) and ", on cuda)" in str(other) and "on cpu" not in str(own)
    assert other.as_dict()["device"] == "cuda"


@pytest.mark.parametrize("field", OTHERS)
def test_records_that_differ_are_not_ranked(field):
    other = record(subject="other", **{field: OTHERS[field]})
    assert not comparable(record(), other)
    assert difference(record(), other).startswith(f"{field} differs, ")
    with pytest.raises(ArgumentError, match=f"samples and other are not ranked together: {field} differs"):
        rank([record(), record(), other])


def test_every_field_either_forbids_a_comparison_or_belongs_to_the_result():
    """A field added later must be put on one side or the other."""
    free = {"value", "stderr", "blocks", "subject", "note", "better", "device"}
    assert {field.name for field in dataclasses.fields(Record)} == free | set(OTHERS)


def test_best_first():
    low, high = record(value=0.01, subject="a"), record(value=0.5, subject="b", note="anything", stderr=None)
    assert rank([high, low]) == [low, high]
    precise, vague = (record(metric="precision", better="higher", value=value) for value in (0.9, 0.2))
    assert rank([vague, precise]) == [precise, vague]
    assert rank([]) == []


def likelihood(subject, value, unit="nats", **fields):
    return record(metric="nll", kind="exact", subject=subject, value=value, unit=unit, **fields)


def test_standings_rank_what_models_share():
    a, b, c = (likelihood(name, value) for name, value in (("a", 3.0), ("b", 1.0), ("c", 2.0)))
    bits = [likelihood(name, 0.5, "bits/dim") for name in "abc"]
    assert standings([a, *bits, b, c]) == ([[b, c, a]], [])
    assert standings([a]) == standings([]) == ([], [])


def test_standings_say_why_others_are_not_ranked():
    a = likelihood("a", 3.0)
    b = likelihood("b", 1.0)
    bound = dataclasses.replace(likelihood("c", 0.1), kind="elbo")
    shared, apart = standings([a, b, bound])
    assert shared == [[b, a]]
    assert [line.partition(":")[0] for line in apart] == [
        "a and c are not ranked together",
        "b and c are not ranked together",
    ]
    assert "kind differs, 'exact' and 'elbo'" in apart[0]


def test_standings_leave_out_the_floor_and_what_is_no_race():
    rows = [
        record(subject=name, value=value)
        for name, value in (("a", 0.2), ("train", 0.0), ("b", 0.1), ("train", 0.0))
    ]
    assert standings(rows) == ([[rows[2], rows[0]]], [])
    assert standings([record(metric="ms-ssim", better="neither", subject=name) for name in "ab"]) == ([], [])


def test_diversity_is_not_a_race():
    with pytest.raises(ArgumentError, match="ms-ssim is not ranked"):
        rank([record(metric="ms-ssim", better="neither")])


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "guess"},
        {"better": "bigger"},
        {"metric": ""},
        {"unit": ""},
        {"value": float("nan")},
        {"value": float("inf")},
        {"stderr": -0.1},
        {"stderr": float("nan")},
        {"n": -1},
    ],
)
def test_no_record_without_a_measurement(wrong):
    with pytest.raises(ArgumentError):
        record(**wrong)


@pytest.mark.parametrize("wrong", [{"data": ""}, {"n": 0}])
def test_a_record_of_unknown_images_is_none_of_a_measurement_and_is_compared_with_nothing(wrong):
    """A ledger that was written by hand may hold one."""
    known, unknown = record(), record(**wrong)
    with pytest.raises(ArgumentError, match="a record of kid"):
        unknown.check_measured()
    assert known.check_measured() is known
    words = "the record kid[gist-v1@00] of samples does not state which images were measured"
    assert difference(known, unknown) == difference(unknown, unknown) == words
    other = dataclasses.replace(unknown, subject="other")
    assert standings([unknown, other]) == ([], [f"samples and other are not ranked together: {words}"])
    with pytest.raises(ArgumentError, match="not ranked together: the record kid"):
        rank([unknown, other])


def test_records_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().value = 0.0


MARKUP = '<script>alert("1")</script>\x1b[31m\u202e&'


class TestReprs:
    def test_a_record_in_short(self):
        assert repr(record(subject="dcgan")) == "<Record kid[gist-v1] 0.02 ± 0.004 of dcgan>"
        bound = record(metric="nll", kind="iwae", unit="nats", value=84.22, features="", stderr=0.2)
        assert repr(bound) == "<Record nll ≤ 84.22 ± 0.2 nats of samples>"
        swd = record(metric="swd", unit="1e-3", value=17.42, features="", stderr=None, subject="train")
        assert repr(swd) == "<Record swd 17.42 × 1e-3 of train>"
        assert dataclasses.replace(swd, stderr=3.1).quantity == "(17.42 ± 3.1) × 1e-3"
        assert likelihood("x", 81.83, stderr=0.2).quantity == "= 81.83 ± 0.2 nats"

    def test_no_amount_has_an_exponent_that_digits_can_replace(self):
        for value, stderr, words in (
            (-13152.4, 131.9, "-13152 ± 130"),
            (6999.4, 12.0, "6999 ± 12"),
            (99999.9, None, "100000"),
            (0.5, 2500.0, "0.5 ± 2500"),
            (1e300, None, "1e+300"),
            (1.5e-7, None, "1.5e-07"),
        ):
            assert record(value=value, stderr=stderr).amount == words

    def test_the_repr_is_one_short_line_whatever_is_in_the_record(self):
        texts = dict.fromkeys(("metric", "features", "unit", "subject"), MARKUP * 20)
        words = repr(record(**texts))
        assert len(words) < 100 and words.isprintable() and "… 0.02 ± 0.004" in words

    def test_a_table_of_one_record(self):
        page = record(protocol="all pairs", n_reference=None)._repr_html_()
        assert "<tr><th>value</th><td>0.02 ± 0.004</td></tr>" in page
        assert "<tr><th>protocol</th><td>all pairs</td></tr>" in page
        assert "<th>n_reference</th>" not in page and "<th>note</th>" not in page

    def test_a_table_of_several_records_pairs_them_with_their_floors(self):
        page = Records([record(subject="it"), record(subject="train", value=-0.004)])._repr_html_()
        assert page.count("<tr>") == 2
        assert (
            "<tr><th>kid[gist-v1@00]</th><td>it</td><td>0.02 ± 0.004</td><td>-0.004 ± 0.004</td>"
            "<td>438</td><td>bedrooms test, 8-bit</td></tr>"
        ) in page
        floor = Records([record(subject="train")])._repr_html_()
        assert "<td></td><td></td><td>0.02 ± 0.004</td>" in floor

    def test_nothing_in_a_record_becomes_markup(self):
        names = ("metric", "unit", "data", "split", "transform", "subject", "features", "protocol", "note")
        hostile = record(**dict.fromkeys(names, MARKUP))
        for page in (hostile._repr_html_(), Records([hostile])._repr_html_()):
            assert page.isprintable() and "<script" not in page and "&lt;script&gt;" in page
            assert "alert(&quot;1&quot;)" in page and "style" not in page

    def test_records_are_a_list_in_all_else(self):
        rows = Records([record(), record(value=0.03)])
        assert rows == [record(), record(value=0.03)] and isinstance(rows, list)
        assert repr(rows) == repr(list(rows)) and rows[1:] == [record(value=0.03)]
        assert pickle.loads(pickle.dumps(rows)) == rows == copy.deepcopy(rows)

    def test_torch_stays_out(self):
        code = (
            "import sys; from genzoo.record import Record, Records; r = Record(metric='kid', value=1.0)\n"
            "Records([r])._repr_html_(), r._repr_html_(), sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestFloors:
    def test_each_record_has_the_floor_of_its_own_measurement(self):
        kid, fid = record(subject="a"), record(subject="a", metric="fid")
        floor, other = record(subject="train"), record(subject="train", split="validation")
        assert beside_floor([floor, kid, fid, other]) == [(kid, floor), (fid, None), (other, other)]
        assert beside_floor([]) == []
