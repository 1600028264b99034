"""A batch is one thing from the loader to the loss."""

import pytest
import torch
from torch import nn

from genzoo.errors import TrainingError
from genzoo.training import Batch, Player

IMAGES, LABELS = torch.rand(3, 1, 2, 2), torch.arange(3)


def test_a_batch_knows_what_is_there():
    assert list(Batch(IMAGES).tensors) == ["images"] and len(Batch(IMAGES)) == 3
    assert list(Batch(IMAGES, LABELS).tensors) == ["images", "labels"]
    moved = Batch(IMAGES, LABELS).map(lambda tensor: tensor.flip(0))
    assert torch.equal(moved.images, IMAGES.flip(0)) and torch.equal(moved.labels, LABELS.flip(0))
    assert Batch(IMAGES).map(torch.clone).labels is None


def test_a_loss_that_reads_what_its_player_does_not_need_is_told_so():
    assert Batch(IMAGES, LABELS).get("labels") is LABELS
    with pytest.raises(
        TrainingError, match=r'reads the labels of its batch.*needs=frozenset\(\{"labels"\}\)'
    ):
        Batch(IMAGES).get("labels")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"needs": frozenset({"label"}), "classes": 3}, "needs 'label', which batches do not have.*'labels'"),
        ({"needs": frozenset({"labels"})}, "needs labels but has classes=0"),
        ({"classes": 3}, "needs no labels but has classes=3"),
    ],
)
def test_a_player_says_what_it_needs(facts, words):
    with pytest.raises(TrainingError, match=words):
        Player(name="a", module=nn.Linear(1, 1), loss=lambda batch, noise: batch.images.sum(), **facts)


def test_only_what_a_player_needs_is_loaded(start):
    assert start().feed(0).labels is None
    run = start(classes=10)
    assert torch.equal(run.feed(0).labels, torch.from_numpy(run.data.labels[run.feed._rows(0)]))
