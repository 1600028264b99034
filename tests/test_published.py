"""Every row of zoo.toml, with the weights that lie in the plugins: they are the bytes that were pinned, and still draw what they drew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import genzoo
from genzoo import Family, zoo
from genzoo.ledger import read_rows

ROWS = read_rows(Path(__file__).resolve().parents[1] / "zoo.toml")
LARGEST = 8 * 2**20  # bytes: the weights travel inside the plugins
GANS = [name for name in ROWS if genzoo.card(name).family is Family.IMPLICIT]


@pytest.mark.parametrize("name", ROWS)
def test_digest_and_golden_outputs_agree(name):
    said = zoo.verify(name)
    assert f"sha256 {ROWS[name].sha256[:12]}" in said and "golden outputs agree" in said


@pytest.mark.parametrize("name", ROWS)
def test_it_tells_how_it_was_made_and_what_it_is_worth(name):
    row, recipe = ROWS[name], genzoo.card(name).recipe
    assert row.bytes <= LARGEST and row.licence and row.data and row.terms and row.scores
    assert recipe.command == f"genzoo train {name}"
    assert all((recipe.hardware, recipe.time, recipe.score))
    images = "".join(character for character in row.trained.partition(" rounds")[0] if character.isdigit())
    assert int(images) == recipe.steps  # the published weights are those of the whole recipe


@pytest.mark.parametrize("name", GANS)
def test_samples_are_measured_beside_the_floor(name):
    measured = {(score.metric, score.subject) for score in ROWS[name].scores}
    metrics = {metric for metric, subject in measured if subject == name}
    assert {metric.partition("[")[0] for metric in metrics} >= {"kid", "fid", "precision", "recall", "swd", "ms-ssim"}
    assert metrics == {metric for metric, subject in measured if subject == "train"}


@pytest.mark.parametrize("name", GANS)
def test_a_gan_in_full_size_draws_varied_images_each_a_function_of_its_z(name):
    model = genzoo.load(name)
    images = model.sample(model.decode_chunk + 2, seed=0)
    z = model.sample_latents(len(images), seed=0)
    assert torch.equal(model.sample(1, seed=0)[0], images[0]) and torch.equal(model.decode(z[-1:])[0], images[-1])
    rows = images.flatten(1)
    distances = torch.cdist(rows, rows) + 1e9 * torch.eye(len(rows))
    assert distances.min() > 1  # no two alike
    with torch.no_grad():
        real, noise = model._discriminate(images), model._discriminate(torch.rand_like(images))
    assert real.isfinite().all() and noise.isfinite().all() and real.std() > 0
