"""Sample quality: every measure beside its floor, equal numbers on both sides, the same answer every time."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from genzoo.card import fold
from genzoo.data.collection import Images
from genzoo.data.sealed import mapped
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.evaluation import METRICS, msssim, quality, sample_quality
from genzoo.evaluation import parzen as windows
from genzoo.evaluation.inputs import as_pixels, subset, take
from genzoo.evaluation.metrics import MEASURES
from genzoo.evaluation.parzen import parzen
from genzoo.evaluation.quality import measure_samples
from genzoo.evaluation.sides import sides_of
from genzoo.evaluation.spaces import GIST
from genzoo.metrics import AGREEMENT, LEAST_SIDE, NAMES, PARZEN, better_of, metric_of
from genzoo.models.model import GenerativeModel, Model
from genzoo.record import rank
from genzoo.registry import _OWNERS
from genzoo.request import Request

SHAPE = (1, 16, 16)


def scenes(n, seed, size=16):
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((n, 1, 4, 4), dtype=np.float32))
    return (255 * F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)).to(
        torch.uint8
    )


TRAIN, TEST = scenes(120, 0), scenes(40, 1)


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="Linux says what is in memory")
def test_mapped_sets_give_their_memory_back(tmp_path):
    """What is compared is a copy: sets of gigabytes need not stay in memory as well."""
    path = tmp_path / "pixels"
    path.write_bytes(np.random.default_rng(0).bytes(2000 * 3 * 32 * 32))
    with path.open("rb") as file:
        images = Images(pixels=mapped(file, (2000, 3, 32, 32)))
    sides = sides_of(
        images[:1000], images, images, subject="a model", seed=0, about={}, space=GIST, progress=None
    )
    assert len(sides.test) == 1000 and resident(path) < 1000
    images.float()
    assert resident(path) > 5000


def resident(path):
    """Return how many kB of the mapped file `path` are in this process's memory."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.endswith(str(path))]
    found = [next(line for line in lines[start:] if line.startswith("Rss:")) for start in starts]
    return sum(int(line.split()[1]) for line in found)


def by(records, subject):
    return {record.metric: record for record in records if record.subject == subject}


@pytest.fixture(scope="module")
def records():
    return sample_quality(scenes(70, 2), TRAIN, TEST, data="scenes", subject="model")


def test_every_measure_stands_beside_its_floor(records):
    expected = {
        "kid",
        "fid",
        "precision",
        "recall",
        "density",
        "coverage",
        "two-sample",
        "copying",
        "swd",
        "swd-16",
        "ms-ssim",
        "checkerboard",
    }
    assert set(by(records, "model")) == set(by(records, "train")) == expected
    assert len(records) == 2 * len(expected)


def test_both_sides_have_the_same_n_and_say_so(records):
    for record in records:
        assert record.n == 40
        others = {"ms-ssim": None, "checkerboard": None, "copying": len(TRAIN)}
        assert record.n_reference == others.get(record.metric, 40)
        assert (record.data, record.split, record.transform, record.kind) == (
            "scenes",
            "test",
            "8-bit",
            "sample",
        )
        assert "seed 0" in record.protocol


def test_records_state_their_protocol(records):
    found = by(records, "model")
    assert found["kid"].features.startswith("gist-v1@")
    assert found["kid"].stderr > 0
    assert "standardised by 120 training images" in found["fid"].protocol
    assert found["fid"].note == (
        "a Fréchet distance in these features, not the usual FID; "
        "rank deficient: 40 images for 528 features; compare only at equal n"
    )
    assert "k = 5" in found["density"].protocol
    assert "128 per image, 512 directions" in found["swd"].protocol
    assert found["swd"].unit == "1e-3"
    assert (
        "20 disjoint pairs, Wang et al. 2003, valid window 11, 1 scale, weights 1.0000"
        in found["ms-ssim"].protocol
    )
    assert (
        "linear classifier, fitted on half of each side; ideal 0.5; standardised"
        in found["two-sample"].protocol
    )
    assert found["two-sample"].features == found["kid"].features and found["copying"].features == ""
    assert found["copying"].better == "neither"


def test_a_perfect_model_is_near_the_floor_and_a_bad_one_far(records):
    good, floor = by(records, "model"), by(records, "train")
    assert abs(good["kid"].value) < 4 * good["kid"].stderr
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype=np.uint8))
    bad = by(sample_quality(noise, TRAIN, TEST, data="scenes"), "samples")
    for metric in ("kid", "fid", "swd"):
        assert bad[metric].value > 3 * max(good[metric].value, floor[metric].value)
    for metric in ("precision", "density", "coverage"):
        assert bad[metric].value < 0.5 * floor[metric].value
    assert bad["two-sample"].value == 1 > good["two-sample"].value and bad["copying"].value == 0
    assert by(sample_quality(scenes(1, 5).repeat(40, 1, 1, 1), TRAIN, TEST), "samples")[
        "ms-ssim"
    ].value == pytest.approx(1, abs=1e-5)


def test_copies_are_told_from_fresh_draws(records):
    """Real images reach 0.5: those of the floor, each without itself, and those of a model that draws as the
    data were drawn."""
    for subject in ("model", "train"):
        record = by(records, subject)["copying"]
        assert abs(record.value - 0.5) < 4 * record.stderr
    copied = by(sample_quality(TRAIN[:40], TRAIN, TEST, metrics=["copying"]), "samples")["copying"]
    assert (copied.value, copied.stderr) == (1.0, 0.0)


def test_the_same_question_has_the_same_answer(records):
    assert sample_quality(scenes(70, 2), TRAIN, TEST, data="scenes", subject="model") == records
    other = sample_quality(
        scenes(70, 2), TRAIN, TEST, data="scenes", subject="model", metrics=["swd"], seed=1
    )
    assert other[0].value != by(records, "model")["swd"].value


def test_floats_arrays_and_image_sets_are_one_thing(records):
    train = Images(pixels=TRAIN.numpy(), name="scenes", split="train")
    test = Images(pixels=TEST.numpy(), name="scenes", split="valid")
    found = sample_quality(scenes(70, 2).float() / 255, train, test, metrics=["kid"], subject="model")
    assert found[0].value == by(records, "model")["kid"].value
    assert (found[0].data, found[0].split) == ("scenes", "valid")


def test_metrics_can_be_chosen():
    found = sample_quality(TRAIN[:40], TRAIN, TEST, metrics=["kid", "ms-ssim"])
    assert [record.metric for record in found] == ["kid", "kid", "ms-ssim", "ms-ssim"]
    with pytest.raises(UnknownNameError, match="unknown metric 'kdi'; did you mean 'kid'"):
        sample_quality(TRAIN[:40], TRAIN, TEST, metrics=["kdi"])


def test_msssim_is_left_out_where_it_cannot_be_measured():
    small = scenes(30, 0, size=8)
    assert "ms-ssim" not in by(sample_quality(small, small, small), "samples")


def test_what_has_a_standard_error(records):
    without = {record.metric for record in records if record.stderr is None}
    assert without == {"fid", "precision", "recall", "density", "coverage"}


def test_records_say_what_decoded_the_images():
    test = Images(
        pixels=TEST.numpy(), name="scenes", split="test", facts={"decoder": "decoded by Pillow 1.2.3"}
    )
    found = sample_quality(scenes(40, 2), TRAIN, test, metrics=["kid", "swd"])
    assert all("; decoded by Pillow 1.2.3; seed 0" in record.protocol for record in found)


def test_bad_questions_are_refused():
    with pytest.raises(ArgumentError, match="more than 5 images on every side, not 5"):
        sample_quality(TRAIN[:5], TRAIN, TEST)
    with pytest.raises(ArgumentError, match="samples have the shape"):
        sample_quality(scenes(40, 0, size=24), TRAIN, TEST)
    with pytest.raises(ArgumentError, match="train images have the shape"):
        sample_quality(TRAIN, scenes(40, 0, size=24), TEST)
    with pytest.raises(ArgumentError, match="name of the floor"):
        sample_quality(TRAIN, TRAIN, TEST, subject="train")
    with pytest.raises(ArgumentError, match="samples must have shape"):
        sample_quality(TRAIN[0], TRAIN, TEST)
    with pytest.raises(ArgumentError, match="seed must"):
        sample_quality(TRAIN, TRAIN, TEST, seed=-1)


def test_progress_names_every_part():
    told = []
    sample_quality(TRAIN[:40], TRAIN, TEST, progress=lambda *what: told.append(what))
    parts = {"features", "copying", "neighbours", "swd", "ms-ssim", "checkerboard"}
    assert {what for what, _, _ in told} == parts
    assert all(0 <= done <= total for _, done, total in told)


@dataclass(frozen=True, kw_only=True)
class Config:
    image_shape: tuple[int, int, int] = SHAPE


class Painter(GenerativeModel):
    """Rng smooth scenes."""

    Config = Config

    def __init__(self, config):
        super().__init__()
        self.config = config

    def _sample(self, draws):
        return F.interpolate(
            draws.uniform(1, 4, 4).float(),
            size=self.config.image_shape[1:],
            mode="bilinear",
            align_corners=False,
        )


def image_set(pixels, **more):
    return Images(pixels=pixels.numpy(), name="scenes", **more)


def test_a_model_is_asked_for_what_sample_gives():
    train, test, model = image_set(TRAIN, split="train"), image_set(TEST, split="test"), Painter(Config())
    told = []
    asked = Request(n=1000, seed=3, metrics=["kid"])
    found = list(
        measure_samples(model, train, test, asked, subject="painter", progress=lambda *a: told.append(a))
    )
    images = model.sample(40, seed=3)
    assert found == sample_quality(images, train, test, seed=3, subject="painter", metrics=["kid"])
    assert told[:3] == [("samples", 16, 40), ("samples", 32, 40), ("samples", 40, 40)]
    few = Request(n=20, metrics=["fid"])
    assert next(measure_samples(model, train, test, few, subject="painter")).n == 20


class Autoencoder(Model):
    """Has codes, but no samples."""


def test_only_what_can_be_sampled_is_evaluated():
    train, test = image_set(TRAIN), image_set(TEST)
    with pytest.raises(ArgumentError, match="cannot be sampled"):
        next(measure_samples(Autoencoder(), train, test, Request(), subject="coder"))
    with pytest.raises(ArgumentError, match="the train images have shape"):
        large = Painter(Config(image_shape=(1, 24, 24)))
        next(measure_samples(large, train, test, Request(), subject="painter"))


def test_a_subset_is_a_function_of_size_seed_and_role():
    assert subset(10, 4, 0, "test").tolist() == subset(10, 10, 0, "test").tolist()[:4]
    assert sorted(subset(10, 10, 0, "test").tolist()) == list(range(10))
    assert subset(100, 100, 0, "test").tolist() != subset(100, 100, 0, "train").tolist()
    assert subset(100, 100, 0, "test").tolist() != subset(100, 100, 1, "test").tolist()


def test_floats_are_rounded_as_a_saved_picture_would_be():
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(as_pixels(x), (x * 255).round().to(torch.uint8))
    chosen = torch.tensor([2, 0])
    for images in (x, x.numpy(), Images(pixels=as_pixels(x).numpy())):
        assert torch.equal(take(images, chosen, "x"), as_pixels(x)[chosen])


def test_all_metrics_have_a_name():
    names = (
        "kid",
        "fid",
        "prdc",
        "two-sample",
        "inception-score",
        "copying",
        "swd",
        "ms-ssim",
        "checkerboard",
        "agreement",
        "parzen-2014",
    )
    assert tuple(METRICS) == tuple(MEASURES) == names
    assert METRICS[PARZEN].only == ("mnist", windows.SAMPLES) and LEAST_SIDE == msssim.WINDOW


def test_the_table_says_what_records_there_are_and_which_end_of_them_is_better(records):
    """What a plugin may not claim, and what a ledger need not say, is known without torch."""
    assert {fold(name) for name in NAMES} == {name for kind, name in _OWNERS if kind == "metrics"}
    assert {metric.partition("-16")[0] for metric in by(records, "model")} == {
        name for metric in METRICS.values() for name in metric.records
    } - {PARZEN, AGREEMENT, "inception-score"}
    for record in records:
        metric = metric_of(record.metric)
        assert (record.better, record.unit) == (better_of(record.metric), metric.unit)
        assert (record.n_reference == record.n) == metric.paired or record.metric == "copying"


@pytest.fixture
def few(monkeypatch):
    """Take 40 samples and 20 validation images for the protocol of 2014."""
    monkeypatch.setattr(windows, "SAMPLES", 40)
    monkeypatch.setattr(windows, "VALIDATION", 20)
    few = dataclasses.replace(METRICS[PARZEN], only=("mnist", 40))
    monkeypatch.setattr(quality, "METRICS", {**METRICS, PARZEN: few})


def test_the_number_of_2014_has_one_protocol(few):
    found = sample_quality(scenes(40, 2), TRAIN, TEST, metrics=["parzen-2014"], subject="model")
    assert [record.subject for record in found] == ["model", "train"]
    rows = {
        name: images.flatten(1) / 255
        for name, images in (("samples", scenes(40, 2)), ("train", TRAIN), ("test", TEST))
    }
    # those behind five sixths of 120
    value, stderr, sigma = parzen(rows["samples"], rows["train"][100:120], rows["test"])
    assert (found[0].value, found[0].stderr) == (pytest.approx(value), pytest.approx(stderr))
    floor = parzen(rows["train"][subset(100, 40, 0, "parzen")], rows["train"][100:120], rows["test"])
    assert found[1].value == pytest.approx(floor.value)
    for record in found:
        assert (record.unit, record.kind, record.better, record.n, record.n_reference) == (
            "nats",
            "sample",
            "neither",
            40,
            40,
        )
        assert f"sigma {sigma:.4f} by 20 validation images, those behind 100 of train" in record.protocol
        for words in (record.protocol, str(record)):
            assert "the 2014 number: it misorders models (Theis et al. 2016) and is no likelihood" in words
    with pytest.raises(ArgumentError, match="not ranked"):
        rank([found[0]])


def test_it_is_taken_of_mnist_alone_unless_asked_for(few):
    chosen = {"metrics": None, "data": "mnist"}
    assert "parzen-2014" in by(sample_quality(scenes(40, 2), TRAIN, TEST, **chosen), "samples")
    assert "parzen-2014" not in by(sample_quality(scenes(30, 2), TRAIN, TEST, **chosen), "samples")
    with pytest.raises(ArgumentError, match=r"parzen-2014 takes 40 samples.* not 30 on both sides and 120"):
        sample_quality(scenes(30, 2), TRAIN, TEST, metrics=["parzen-2014"])
    with pytest.raises(ArgumentError, match="not 40 on both sides and 110"):
        sample_quality(scenes(40, 2), TRAIN[:110], TEST, metrics=["parzen-2014"])
