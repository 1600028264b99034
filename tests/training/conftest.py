"""Runs of toy games on the embedded digits."""

from __future__ import annotations

import pytest
import torch
import toys

from genzoo.data import open_data
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.parallel import World


@pytest.fixture(scope="session")
def digits():
    """Give the embedded digits: 1,797 of 1×8×8."""
    return open_data("digits", val_split=0)


@pytest.fixture
def start(tmp_path, digits):
    """Give a function that starts (or prepares to resume) a run of a toy game."""
    torch.manual_seed(0)  # fresh weights of a test's own models must not depend on the tests before it

    def start(model=None, folder=tmp_path, data=digits, world=None, **recipe):
        chosen = toys.recipe_of(toys.RECIPE, **recipe)
        folder.mkdir(exist_ok=True)
        return Run(model or toys.gan(), chosen, data, choose(chosen, "cpu"), folder, world or World())

    return start
