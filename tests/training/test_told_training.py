"""Batches of pairs, of two sides and of texts: what they hold, what is refused, and the same bits again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from told_toys import PAIRED, SENTENCES, TEXT, Columned, Cycle, MatchingGAN, Paired, TextGAN, card, noise_set

from genzoo import Recipe, Text
from genzoo.data import Images
from genzoo.data.conditions import conditions_of, each, restricted, told_of
from genzoo.errors import ArgumentError, DataError, TrainingError
from genzoo.evaluation.given import given_to, given_words
from genzoo.models.weights import build_filled
from genzoo.training import Player
from genzoo.training import hardware as machine
from genzoo.training.checks import check_needs
from genzoo.training.loader import Loader
from genzoo.training.parallel import World
from genzoo.training.train import train


def loader(kind, data=None, needs=(), world=None, condition=None, **settings):
    recipe = Recipe(batch_size=6, **settings)
    made = card(kind)
    data = noise_set(kind) if data is None else data
    return Loader(
        data, recipe, world or World(), machine.choose(recipe, "cpu"), needs, condition or made.condition
    )


def numbered(**extra):
    """Images whose first pixel is their number, with equal sources."""
    pixels = np.zeros((20, 1, 8, 8), np.uint8)
    pixels[:, 0, 0, 0] = np.arange(20)
    pixels[:, 0, 3, 6] = 255
    return {"pixels": pixels, "name": "numbered", "split": "train", **extra}


class TestPairs:
    def test_a_pair_stays_together_and_has_the_same_coins(self):
        fields = numbered()
        data = Columned(**fields, source=fields["pixels"].repeat(3, 1))
        feed = loader(Paired, data, flip=True, shift=3)
        moved = 0
        for number in range(8):
            batch = feed(number)
            assert batch.condition.shape == (6, 3, 8, 8) and batch.condition.dtype == torch.float32
            assert torch.equal(batch.condition, batch.images.expand(-1, 3, -1, -1))
            moved += int((batch.images[:, 0, 3, 6] != 1).sum())
        assert moved > 20

    def test_what_is_no_pair_is_refused(self):
        with pytest.raises(DataError, match="numbered has single images, but this model takes a picture"):
            loader(Paired, Images(**numbered()))
        data = Columned(**numbered(), source=np.zeros((20, 1, 8, 8), np.uint8))
        with pytest.raises(DataError, match=r"sources of numbered have the shape \(1, 8, 8\)"):
            loader(Paired, data)


class TestSides:
    def test_each_has_an_order_of_its_own(self):
        fields = numbered()
        data = Columned(**fields, other=Images(**{**fields, "name": "others"}))
        feed = loader(Cycle, data, {"other"})
        first, second = (
            torch.cat([getattr(feed(number), side)[:, 0, 0, 0] for number in range(10)]) * 255
            for side in ("images", "other")
        )
        for side in (first, second):  # 60 = 3 epochs of 20
            assert sorted(side.round().int().tolist()) == sorted([*range(20)] * 3)
        assert (first == second).float().mean() < 0.3
        assert feed(0).condition is None

    def test_sides_of_other_lengths(self):
        feed = loader(Cycle, needs={"other"})
        assert len(feed.other) == 17 and feed(5).other.shape == (6, 1, 8, 8)

    def test_ranks_share_a_batch(self):
        whole = loader(Cycle, needs={"other"})(3).other
        parts = [loader(Cycle, needs={"other"}, world=World(rank, 2))(3).other for rank in (0, 1)]
        assert torch.equal(torch.cat(parts), whole)

    def test_data_of_one_side_are_refused(self):
        player = Player(name="generators", module=torch.nn.Linear(1, 1), loss=sum, needs=frozenset({"other"}))
        model = card(Cycle).build()
        with pytest.raises(DataError, match="numbered has one side, but the player 'generators'"):
            check_needs(model, Images(**numbered()), player)
        small = Images(pixels=np.zeros((3, 1, 4, 8), np.uint8))
        with pytest.raises(DataError, match="have 8x8 and 4x8 pixels"):
            check_needs(model, Columned(**numbered(), other=small), player)
        check_needs(model, noise_set(Cycle), player)

    def test_a_condition_that_no_model_has_is_refused(self):
        from toys import ToyConfig, ToyGAN

        player = Player(name="g", module=torch.nn.Linear(1, 1), loss=sum, needs=frozenset({"condition"}))
        with pytest.raises(TrainingError, match="'g' needs the condition, but ToyGAN takes none"):
            check_needs(ToyGAN(ToyConfig()), Images(**numbered()), player)


class TestCaptions:
    def test_one_is_drawn_for_each_image_and_epoch(self):
        captions = tuple(("a rose", "red rose", "a blue daisy") for _ in range(20))
        feed = loader(TextGAN, Columned(**numbered(), captions=captions))
        rows = torch.cat([feed(number).condition for number in range(30)])  # 9 epochs
        assert rows.dtype == torch.int64 and rows.shape == (180, 4)
        seen, counts = rows.unique(dim=0, return_counts=True)
        assert {TEXT.decode(row.tolist()) for row in seen} == set(captions[0])
        assert counts.min() > 35
        assert torch.equal(feed(3).condition, feed(3).condition)

    def test_each_image_has_its_own(self):
        captions = tuple((SENTENCES[i % 3],) for i in range(20))
        batch = loader(TextGAN, Columned(**numbered(), captions=captions))(1)
        for image, row in zip(batch.images, batch.condition, strict=True):
            number = round(float(image[0, 0, 0]) * 255)
            assert TEXT.decode(row.tolist()) == SENTENCES[number % 3]

    def test_others_are_refused(self):
        with pytest.raises(DataError, match="numbered has no captions, but this model takes a text"):
            loader(TextGAN, Images(**numbered()))
        captions = (*((("a rose",),) * 19), ("a rose", "a tulip"))
        with pytest.raises(DataError, match="numbered has a caption with unknown word 'tulip'"):
            loader(TextGAN, Columned(**numbered(), captions=captions))

    def test_images_of_a_text(self):
        data = noise_set(TextGAN)
        assert len(restricted(TEXT, data, "A red rose")) == 16
        assert each(TEXT, data) == ["a red rose", "a blue daisy", "yellow rose"]
        with pytest.raises(DataError, match="no image with the caption"):
            restricted(TEXT, data, "a daisy")


def test_what_is_told_is_part_of_the_data():
    """A run is not resumed with other sources, captions or second sides."""
    for kind, key, needs in ((Paired, "source", ()), (TextGAN, "captions", ()), (Cycle, "other", {"other"})):
        data = noise_set(kind)
        own = loader(kind, data, needs).identity
        fields = {"pixels": data.pixels, "name": "again", "split": "train"}
        value = getattr(data, key)
        assert loader(kind, Columned(**fields, **{key: value}), needs).identity == own
        turned = {"source": lambda v: v[::-1], "captions": lambda v: v[1:] + v[:1]}
        change = turned.get(key, lambda v: v.replace(pixels=v.pixels[::-1]))
        assert loader(kind, Columned(**fields, **{key: change(value)}), needs).identity != own


@pytest.mark.parametrize("kind", [Paired, Cycle, TextGAN, MatchingGAN])
def test_killed_and_resumed_it_ends_in_the_same_bits(tmp_path, kind):
    def run(folder, steps, resume=False):
        return train(
            card(kind),
            noise_set(kind),
            tmp_path / folder,
            steps,
            resume=resume,
            settings={"flip": True},
            device="cpu",
            quiet=True,
            scored=False,
        )

    whole = run("a", 4).weights.read_bytes()
    run("b", 2)
    assert run("b", 4, resume=True).weights.read_bytes() == whole


def test_records_say_what_was_given():
    model, data = card(Paired).build(), noise_set(Paired)
    assert given_words(model, data) == "train sources"
    (rows,) = given_to(model, data)
    assert torch.equal(model.check_condition(rows, 24)[0], torch.from_numpy(data.source) / 255)
    assert given_words(model.given("drawn:0"), data).startswith("map sha256 ")
    model, data = card(TextGAN).build(), noise_set(TextGAN)
    assert given_words(model, data) == "train captions"
    assert given_words(model.given("a rose"), data) == 'text "a rose"'
    assert conditions_of(TEXT, data).shape == (24, 4) and len(told_of(TEXT, data).rows) == 48
    with pytest.raises(ArgumentError, match="no set for one picture"):
        restricted(PAIRED, noise_set(Paired), "drawn:0")


def test_a_batch_maps_all_that_it_has():
    batch = loader(Cycle, needs={"other", "condition"}, data=Columned(
        **numbered(), other=Images(**numbered()), source=numbered()["pixels"])
    )(0)  # fmt: skip
    assert set(batch.tensors) == {"images", "condition", "other"}
    halves = batch.map(lambda rows: rows[:2])
    assert len(halves) == 2 and len(halves.other) == len(halves.condition) == 2
    with pytest.raises(TrainingError, match="reads the other of its batch"):
        dataclasses.replace(batch, other=None).get("other")
    assert isinstance(TEXT, Text)


def test_own_data_bring_their_words_and_shapes(tmp_path):
    def run(kind, data):
        done = train(
            card(kind), data, tmp_path / kind.__name__, 1, resume=False, settings={}, device="cpu",
            quiet=True, scored=False,
        )  # fmt: skip
        return build_filled(card(kind), done.weights.read_bytes(), "run").condition

    captions = (("a tall tulip",), ("an orchid",)) * 10
    made = run(TextGAN, Columned(**numbered(), captions=captions))
    assert made == Text(("a", "an", "orchid", "tall", "tulip"), 3, ("a tall tulip", "an orchid"))
    grey = run(Paired, Columned(**numbered(), source=numbered()["pixels"]))
    assert grey == dataclasses.replace(PAIRED, shape=(1, 8, 8))
