"""What the guide says that people get."""

import torch

import genzoo
from genzoo.explore.interpolation import interpolate
from genzoo.explore.latents import reconstruct


def test_a_chain_is_completed_and_its_drawn_part_has_a_probability():
    model = genzoo.create("pixel-chain", seed=0)
    x = model.sample(2, seed=0)
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:4] = True
    done = model.complete(x, mask, n=3, seed=0)
    assert done.shape == (2, 3, 1, 8, 8) and torch.equal(
        done[..., :4, :], x[:, None, :, :4].expand(2, 3, 1, 4, 8)
    )
    assert (model.completion_log_prob(done[:, 0], mask) > model.log_prob(done[:, 0])).all()


def test_codes_are_walked_and_decoded():
    model = genzoo.create("linear-codes", seed=0)
    x = torch.rand(3, 1, 8, 8)
    assert model.encode(x).shape == (3, 8) and reconstruct(model, x).shape == x.shape
    assert interpolate(model, n=2, steps=3, seed=0).shape == (2, 3, 1, 8, 8)


def test_both_train(tmp_path):
    for name in ("pixel-chain", "linear-codes"):
        outcome = genzoo.train(name, out=tmp_path / name, steps=3, settings={"val_split": 0.0}, quiet=True)
        assert outcome.finished
