"""Training of models that take a condition: it reaches every player, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from conditional_toys import NAMES, LabelBernoulli, LabelGAN, card

from genzoo.data import Images
from genzoo.errors import GenzooError
from genzoo.training.train import train


def images(labels=None, names=NAMES, n=24):
    """Images whose grey says what their label is."""
    numbers = np.arange(n) % 3 if labels is None else np.asarray(labels)
    pixels = np.repeat(numbers.astype(np.uint8) // 2 * 255, 64).reshape(-1, 1, 8, 8)
    return Images(pixels=pixels, name="greys", split="train", labels=numbers, class_names=names)


def trained(kind, tmp_path, data=None, **settings):
    return train(
        card(kind),
        images() if data is None else data,
        tmp_path / "run",
        settings.pop("steps", 3),
        resume=settings.pop("resume", False),
        settings=settings,
        device="cpu",
        quiet=True,
        tensorboard=False,
        scored=False,
    )


@pytest.mark.parametrize(
    "settings", [{}, {"replay": 0.5}, {"gp_weight": 1.0, "objective": "wasserstein", "norm": False}]
)
def test_a_game_is_played_with_labels(tmp_path, settings):
    assert trained(LabelGAN, tmp_path, **settings).finished


def test_a_likelihood_learns_each_label(tmp_path):
    from genzoo.models.weights import build_filled

    done = trained(LabelBernoulli, tmp_path, steps=60, lr=0.3)
    model = build_filled(card(LabelBernoulli), done.weights.read_bytes(), "run")
    white = model.sample(16, seed=0, condition="horse").mean()
    assert white > 0.95 and model.sample(16, seed=0, condition="cat").mean() < 0.05


def test_resuming_ends_in_the_same_bits(tmp_path):
    whole = trained(LabelGAN, tmp_path / "a", replay=0.5, steps=4).weights.read_bytes()
    trained(LabelGAN, tmp_path / "b", replay=0.5, steps=2)
    assert trained(LabelGAN, tmp_path / "b", replay=0.5, steps=4, resume=True).weights.read_bytes() == whole


def test_a_run_is_not_resumed_with_classes_of_other_names(tmp_path):
    """The numbers of the labels are the same, and so are the pixels; what they are called is not."""
    trained(LabelGAN, tmp_path, steps=2)
    swapped = images(names=("dog", "cat", "horse"))
    with pytest.raises(GenzooError, match="made with other data"):
        trained(LabelGAN, tmp_path, swapped, steps=4, resume=True)


def test_names_count_not_their_order(tmp_path):
    """The data's labels are mapped by name, so that another order of the classes is the same data."""
    order = [2, 0, 1]  # the class that each of the model's labels has in the other data
    other = images([order[i % 3] for i in range(24)], tuple(NAMES[order.index(i)] for i in range(3)))
    other = other.replace(pixels=images().pixels)
    one, two = (
        trained(LabelBernoulli, tmp_path / name, data) for name, data in (("a", images()), ("b", other))
    )
    assert one.weights.read_bytes() == two.weights.read_bytes()


@pytest.mark.parametrize(
    "data",
    [images().replace(labels=None, class_names=()), images(names=("cat", "dog", "mouse"))],
    ids=["no labels", "an unknown label"],
)
def test_data_that_do_not_fit_are_refused(tmp_path, data):
    with pytest.raises(GenzooError, match="label"):
        trained(LabelGAN, tmp_path, data)
