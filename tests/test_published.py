"""Every row of zoo.toml, with the weights that lie in the plugins: they are the bytes that were pinned, and
still draw what they drew."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from pathlib import Path

import claims
import pytest
import records
import torch

import genzoo
from genzoo import Family, Picture, zoo
from genzoo.ledger import read_rows
from genzoo.models.rows import rows_of

ROOT = Path(__file__).resolve().parents[1]
ROWS = read_rows(ROOT / "zoo.toml")
DATA = os.environ.get("GENZOO_DATA")  # before the tests' own environment has none
LARGEST = 8 * 2**20  # bytes: the weights travel inside the plugins
GANS = [name for name in ROWS if genzoo.info(name).family is Family.IMPLICIT]
TRANSLATORS = [name for name in GANS if isinstance(genzoo.info(name).condition, Picture)]
OF_FLOOR = {"colour-by-chance"}  # measured of photographs alone


@pytest.mark.parametrize("name", ROWS)
def test_digest_and_golden_outputs_agree(name):
    said = zoo.verify(name)
    assert f"sha256 {ROWS[name].sha256[:12]}" in said and "golden outputs agree" in said


@pytest.mark.parametrize("name", ROWS)
def test_it_tells_how_it_was_made_and_what_it_is_worth(name):
    row, recipe = ROWS[name], genzoo.info(name).recipe
    assert row.bytes <= LARGEST and row.licence and row.data and row.terms and row.scores
    start = row.lineage[0].partition("@")[0] if row.lineage else ""
    earlier = start == name  # weights of an earlier run of the same card, whose command is in the README
    command = f"genzoo train {name} --init-from {'runs/' if earlier else start}" if start else ""
    assert recipe.command.startswith(command) if earlier else recipe.command == command
    assert {f.name for f in dataclasses.fields(recipe)}.isdisjoint(("hardware", "time", "score"))
    assert re.search(r"\d+ (h|min|s)\b", row.trained) and "torch " in row.trained
    images = "".join(character for character in row.trained.partition(" rounds")[0] if character.isdigit())
    assert int(images) == recipe.steps  # the published weights are those of the whole recipe


@pytest.mark.parametrize("name", GANS)
def test_samples_are_measured_beside_the_floor(name):
    samples = [score for score in ROWS[name].scores if score.kind == "sample"]
    measured = {(score.metric, score.subject) for score in samples}
    metrics = {metric for metric, subject in measured if subject == name}
    assert {metric.partition("[")[0] for metric in metrics} >= {
        "kid",
        "fid",
        "precision",
        "recall",
        "swd",
        "ms-ssim",
    }
    assert metrics == {metric for metric, subject in measured if subject == "train"} - OF_FLOOR


@pytest.mark.parametrize("name", [name for name in GANS if name not in TRANSLATORS])
def test_a_gan_in_full_size_draws_varied_images_each_a_function_of_its_z(name):
    whole = genzoo.load(name)
    value = None if whole.condition is None else whole.condition.examples(1)[0]
    model = whole if value is None else whole.given(value)
    images = model.sample(model.decode_chunk + 2, seed=0)
    z = model.sample_latents(len(images), seed=0)
    assert torch.equal(model.sample(1, seed=0)[0], images[0]) and torch.equal(
        model.decode(z[-1:])[0], images[-1]
    )
    rows = images.flatten(1)
    distances = torch.cdist(rows, rows) + 1e9 * torch.eye(len(rows))
    assert distances.min() > 1  # no two alike
    told = () if value is None else (rows_of(whole.condition, value, len(images)),)
    with torch.no_grad():
        real = whole._discriminate(images, *told)
        noise = whole._discriminate(torch.rand_like(images), *told)
    assert real.isfinite().all() and noise.isfinite().all() and real.std() > 0


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_translator_translates_each_picture_by_itself_and_reads_it(name):
    model = genzoo.load(name)
    pictures = torch.rand(3, *model.picture.shape, generator=torch.Generator().manual_seed(0))
    found = model.translate(pictures, seed=0)
    assert torch.equal(model.translate(pictures[:1], seed=0)[0], found[0])
    rows = found.flatten(1)
    assert (torch.cdist(rows, rows) + torch.eye(3) * 1e9).min() > 1  # other pictures, other translations
    assert torch.equal(model.translate(pictures, seed=1), found) is not model.picture.noisy
    if model.picture.both_ways:
        first, second = model.picture.domains
        assert not torch.allclose(model.translate(pictures, first), model.translate(pictures, second))


OF_REALS = "density of real-valued pixels"
FIGURE = re.compile(r"(?<![\w\[.,-])-?\d[\d,]*(?:\.\d+)?")  # no part of a name: IWAE-500, gist-v1
FREE = {"2014"}  # a year


def in_two_units(row):
    """Return what is wrong with likelihoods of `row`: nats and bits/dim must be one number, D ln 2 apart, and
    so must their errors.

    A density of real-valued pixels has nats alone.
    """
    scale = math.prod(genzoo.info(row.name).config["image_shape"]) * math.log(2)
    bits = {(score.kind, score.protocol): score for score in row.scores if score.unit == "bits/dim"}
    nats = {
        (score.kind, score.protocol): score
        for score in row.scores
        if score.metric == "nll" and score.unit == "nats"
    }
    dense = {key for key in nats if OF_REALS in key[1]}
    wrong = [f"{row.name}: {key} has one unit only" for key in bits.keys() ^ (nats.keys() - dense)]
    wrong += [f"{row.name}: {key} has bits/dim of a density" for key in bits if OF_REALS in key[1]]
    for key in bits.keys() & nats.keys():
        for field in ("value", "stderr"):
            one, other = getattr(nats[key], field), getattr(bits[key], field) * scale
            wrong += [f"{row.name}: {key} {field} {one} is not {other}"] * (
                not math.isclose(one, other, rel_tol=1e-9)
            )
    return wrong


def in_documents(rows):
    """Return which claims of the documentation do not stand there as the scores of `rows` would have them."""
    wrong = []
    for file, told in claims.CLAIMS.items():
        text = " ".join((ROOT / file).read_text("utf-8").split())
        wrong += [
            f"{file} does not say: {claim}"
            for claim in (claims.filled(claim, rows) for claim in told)
            if claim not in text
        ]
    return wrong


def all_wrong(rows):
    return [problem for row in rows.values() for problem in in_two_units(row)] + in_documents(rows)


def test_nats_bits_and_documents_say_what_the_ledger_says():
    assert all_wrong(ROWS) == []


def planted(name, change, only=lambda score: True):
    scores = tuple(change(score) if only(score) else score for score in ROWS[name].scores)
    return {**ROWS, name: ROWS[name].replace(scores=scores)}


def test_a_wrong_figure_is_noticed_wherever_it_stands():
    """79.87 was changed to 78.87 in everything at once, and nothing noticed."""
    name, scale = "pixelrnn-diagonal-mnist", 784 * math.log(2)
    one_less = planted(name, lambda s: dataclasses.replace(s, value=s.value - 1), lambda s: s.unit == "nats")
    assert len(all_wrong(one_less)) == 4  # against bits/dim, both READMEs and the lecture
    both = planted(
        name, lambda s: dataclasses.replace(s, value=s.value - (1 if s.unit == "nats" else 1 / scale))
    )
    assert len(all_wrong(both)) == 3  # the two READMEs and the lecture
    narrow = planted(name, lambda s: dataclasses.replace(s, stderr=s.stderr / 2))
    assert all_wrong(narrow) != []


# images; samples: all that there are, up to 500
PART = {"nll": 64, "mse": 200, "accuracy": 1000, "cross-entropy": 1000}
FEW = [1, 50]  # K of the bounds that are measured again: 5,000 draws take minutes
SAMPLES = ["kid", "ms-ssim", "copying"]  # what does not depend on n


@pytest.mark.records
@pytest.mark.skipif(
    not DATA, reason="GENZOO_DATA is not set: the records cannot be measured again without the data"
)
@pytest.mark.parametrize("name", ROWS)
def test_a_part_of_the_images_agrees_with_the_record(name, monkeypatch):
    monkeypatch.setenv("GENZOO_DATA", DATA)
    row = ROWS[name]
    n = PART.get(row.scores[0].metric, 500)
    found = records.measured(row, n, ks=FEW, metrics=SAMPLES if name in GANS else None)
    pairs = list(records.pairs(row, found, whole=False))
    assert pairs and [records.told(pair) for pair in pairs if not pair.agrees] == []
