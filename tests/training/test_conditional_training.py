"""Training of models that take a condition: it reaches every player, row by row."""

from __future__ import annotations

import importlib
from typing import ClassVar

import numpy as np
import pytest
import torch
from conditional_toys import NAMES, LabelBernoulli, LabelConfig, LabelGAN, card
from PIL import Image

from genzoo import Adversarial, Labels, Recipe
from genzoo.data import Images
from genzoo.errors import GenzooError
from genzoo.ledger import read_rows
from genzoo.models.weights import build_filled
from genzoo.rng import generator
from genzoo.training import Batch, players
from genzoo.training.train import train


def images(labels=None, names=NAMES, n=24):
    """Images whose grey says what their label is."""
    numbers = np.arange(n) % 3 if labels is None else np.asarray(labels)
    pixels = np.repeat(numbers.astype(np.uint8) // 2 * 255, 64).reshape(-1, 1, 8, 8)
    return Images(pixels=pixels, name="greys", split="train", labels=numbers, class_names=names)


def trained(kind, tmp_path, data=None, **settings):
    return train_(kind, tmp_path / "run", images() if data is None else data, **settings)


def train_(kind, folder, data, **settings):
    return train(
        card(kind) if isinstance(kind, type) else kind,
        data,
        folder,
        settings.pop("steps", 3),
        resume=settings.pop("resume", False),
        quiet=settings.pop("quiet", True),
        settings=settings,
        device="cpu",
        scored=False,
    )


@pytest.mark.parametrize(
    "settings", [{}, {"replay": 0.5}, {"gp_weight": 1.0, "objective": "wasserstein", "norm": False}]
)
def test_a_game_is_played_with_labels(tmp_path, settings):
    assert trained(LabelGAN, tmp_path, **settings).finished


def test_a_likelihood_learns_each_label(tmp_path):
    done = trained(LabelBernoulli, tmp_path, steps=60, lr=0.3)
    model = build_filled(card(LabelBernoulli), done.weights.read_bytes(), "run")
    white = model.sample(16, seed=0, condition="horse").mean()
    assert white > 0.95 and model.sample(16, seed=0, condition="cat").mean() < 0.05


@pytest.mark.parametrize(
    ("kind", "at_fakes"),
    [("r2", True), ("r1-r2", True), ("r1", False), ("gradient", False), ("own_parts:at_copies", True)],
)
def test_a_penalty_at_replayed_fakes_sees_their_own_labels(kind, at_fakes):
    model = LabelGAN(LabelConfig(norm=False))
    options = Adversarial(replay=0.5, gp_weight=1.0, penalty_kind=kind, objective="hinge")
    player = players(model, Recipe(batch_size=8, game=options))[0]
    pool, judged = player.memory["pool"], []
    pool.images.random_(0, 256), pool.conditions.fill_(2), pool.filled.fill_(len(pool.images))
    discriminate = model._discriminate
    model._discriminate = lambda x, c: judged.append((x.detach(), c)) or discriminate(x, c)
    given = torch.tensor([0, 1] * 4)
    player.loss(Batch(torch.rand(8, 1, 8, 8), condition=given), generator("replay"))
    (_, of_real), (fakes, of_fakes), *more = judged
    assert torch.equal(of_real, given) and of_fakes.tolist() == [2] * 4 + [0, 1] * 2
    at = [torch.equal(points, fakes) for points, _ in more]
    assert any(at) == at_fakes
    for found, (_, labels) in zip(at, more, strict=True):
        assert torch.equal(labels, of_fakes if found else given)


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
    ("data", "settings", "said"),
    [
        (images().replace(labels=None, class_names=()), {}, "greys has no labels, and labelgan takes 3"),
        (images(names=("cat", "dog", "mouse")), {"labels": "cat,dog,horse"}, "'mouse'"),
        (images(), {"labels": "cat"}, "'dog'"),
        (images(names=("cat", "dog", "CAT")), {}, "two labels are called 'cat'"),
        (images(), {"labels": "cat,,dog"}, "a label must be a text"),
        (images(), {"labels": "cat,Cat"}, "two labels are called 'cat'"),
    ],
)
def test_data_that_do_not_fit_are_refused(tmp_path, data, settings, said):
    with pytest.raises(GenzooError, match=said):
        trained(LabelGAN, tmp_path, data, **settings)


class TestOwnLabels:
    def test_other_data_bring_their_own(self, tmp_path, capsys):
        done = train_(LabelGAN, tmp_path / "run", images(names=("boat", "car", "tram")), quiet=False)
        assert "labels: boat, car, tram (from greys)" in capsys.readouterr().err
        model = build_filled(card(LabelGAN), done.weights.read_bytes(), "run")
        assert model.condition == Labels(("boat", "car", "tram"))
        told = next(done.folder.glob("*.md")).read_text("utf-8")
        assert "3 labels: boat, car, tram" in told and 'condition="boat"' in told
        assert "takes 3 labels: boat, car, tram" in (done.folder / "zoo.toml").read_text("utf-8")

    def test_a_run_resumes_with_them(self, tmp_path):
        data = images(names=("boat", "car", "tram"))
        whole = trained(LabelGAN, tmp_path / "a", data, steps=4).weights.read_bytes()
        trained(LabelGAN, tmp_path / "b", data, steps=2)
        assert trained(LabelGAN, tmp_path / "b", data, steps=4, resume=True).weights.read_bytes() == whole

    def test_the_same_names_in_another_order_are_those_of_the_card(self, tmp_path):
        data = images(names=("Horse", "cat", "DOG"))
        done = trained(LabelGAN, tmp_path, data)
        model = build_filled(card(LabelGAN), done.weights.read_bytes(), "run")
        assert model.condition == Labels(NAMES)

    def test_what_is_set_is_told(self, tmp_path, capsys):
        trained(LabelGAN, tmp_path, images(), labels="horse,dog,cat,cow", quiet=False)
        assert "labels: horse, dog, cat, cow\n" in capsys.readouterr().err

    @pytest.mark.parametrize("labels", ["cat, dog,horse,cow", ["cat", "dog", "horse", "cow"]])
    def test_those_that_are_set_may_be_more_than_the_data_have(self, tmp_path, labels):
        done = trained(LabelGAN, tmp_path, images(), labels=labels)
        model = build_filled(card(LabelGAN), done.weights.read_bytes(), "run")
        assert model.condition == Labels(("cat", "dog", "horse", "cow"))

    def test_numbers_that_are_set_are_names(self, tmp_path):
        done = trained(LabelGAN, tmp_path, images(names=()), labels=(0, 1, 2))
        model = build_filled(card(LabelGAN), done.weights.read_bytes(), "run")
        assert model.condition == Labels(("0", "1", "2"))

    def test_the_data_of_the_recipe_must_have_those_of_the_card(self, tmp_path):
        for data in (None, "digits"):
            with pytest.raises(GenzooError, match="cat, dog, horse"):
                train_(LabelGAN, tmp_path, data)


@pytest.fixture
def folder(tmp_path):
    """Give the path of a folder of pictures that a test fills by `add(class, count)`."""

    class Folder:
        path = tmp_path / "my-pets"

        def add(self, name, count=8):
            (self.path / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                grey = np.random.default_rng([len(name), i]).integers(0, 256, (8, 8), dtype=np.uint8)
                Image.fromarray(grey).save(self.path / name / f"{i}.png")

    return Folder()


class TestFolder:
    SMALL: ClassVar = {"image_size": 8, "channels": 1}

    def test_its_folders_are_the_labels(self, tmp_path, folder, capsys):
        folder.add("dining room")
        folder.add("cat")
        done = train_(LabelGAN, tmp_path / "run", str(folder.path), quiet=False, **self.SMALL)
        assert f"labels: cat, dining room (from {folder.path})" in capsys.readouterr().err
        model = build_filled(card(LabelGAN), done.weights.read_bytes(), "run")
        assert model.condition == Labels(("cat", "dining room"))

    def test_a_class_with_one_image(self, tmp_path, folder):
        folder.add("cat", 12)
        folder.add("dog", 1)
        done = train_(LabelGAN, tmp_path / "run", str(folder.path), **self.SMALL)
        model = build_filled(card(LabelGAN), done.weights.read_bytes(), "run")
        assert model.condition == Labels(("cat", "dog"))

    @pytest.mark.parametrize("names", [[""], ["cat"], ["cat", "dog/young"]])
    def test_without_such_folders_nothing_is_decoded(self, tmp_path, folder, names, monkeypatch):
        for name in names:
            folder.add(name)
        monkeypatch.setattr("genzoo.training.train.open_both", lambda *args: pytest.fail("it was decoded"))
        with pytest.raises(GenzooError, match=r"my-pets has no labels.* a folder for each label, such as"):
            train_(LabelGAN, tmp_path / "run", str(folder.path), **self.SMALL)

    def test_a_folder_without_images_is_named(self, tmp_path, folder):
        folder.add("cat")
        folder.add("dog")
        (folder.path / "horse").mkdir()
        with pytest.raises(GenzooError, match=r"has no labels, .*: no readable image in horse/"):
            train_(LabelGAN, tmp_path / "run", str(folder.path), **self.SMALL)

    def test_an_ordinary_model_takes_it_as_before(self, tmp_path, folder):
        folder.add("")
        plain = card(LabelGAN, model="toys:ToyGAN", condition=None)
        assert train_(plain, tmp_path / "run", str(folder.path), **self.SMALL).finished


training = importlib.import_module("genzoo.training.train")


def scored(tmp_path, monkeypatch, **changes):
    """Train with the scores of the end, on data whose held-out images have `changes`."""
    opened = training.open_both

    def open_both(*args):
        learned, test = opened(*args)
        return learned, test.replace(**changes)

    monkeypatch.setattr(training, "open_both", open_both)
    rng = np.random.default_rng(0)
    numbers = np.arange(300) % 3
    pixels = ((rng.random((300, 1, 8, 8)) < 0.1 + 0.4 * numbers[:, None, None, None]) * 255).astype(np.uint8)
    data = Images(
        pixels=pixels, name="greys", labels=numbers, class_names=NAMES, transform="static-binarised"
    )
    return train(
        card(LabelBernoulli), data, tmp_path / "run", 3, resume=False, settings={}, device="cpu", quiet=True,
    )  # fmt: skip


def test_a_run_ends_with_scores_given_the_labels(tmp_path, monkeypatch):
    done = scored(tmp_path, monkeypatch)
    assert [(record.unit, record.condition) for record in done.records] == [
        ("nats", "test labels"),
        ("bits/dim", "test labels"),
        ("1", ""),  # Bayes' rule finds the labels: none are given
        ("nats", ""),
    ]
    row = read_rows(tmp_path / "run" / "zoo.toml")["labelbernoulli"]
    assert [score.condition for score in row.scores] == ["test labels"] * 2 + [""] * 2


def test_held_out_images_without_labels_are_not_scored_and_it_is_said(tmp_path, monkeypatch, capsys):
    done = scored(tmp_path, monkeypatch, labels=None, class_names=())
    assert done.finished and done.records == []
    assert (
        "labelbernoulli is not scored: greys has no labels, but this model takes" in capsys.readouterr().err
    )
