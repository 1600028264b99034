"""Concepts of a GAN: its samples are chosen by what its discriminator sees of labelled images."""

import latent_toys
import numpy as np
import pytest
import torch
from latent_toys import Faces, people

from genzoo.data import open_data
from genzoo.errors import ArgumentError
from genzoo.evaluation import reading
from genzoo.evaluation.reading import samples_showing


@pytest.fixture(scope="module")
def gan():
    return latent_toys.model(Faces)


def light(gan, numbers, seed=0):
    """Return how light the stripe of the smile and that of the man are in these samples, (n, 2) from 0 to
    1."""
    images = gan.sample(300, seed=seed)[numbers]
    return images[:, 0, [0, 7], 0]


CONCEPTS = {
    "Smiling,Male": (True, True),
    "Smiling,not-Male": (True, False),
    "not-Smiling, Male": (False, True),
    "not-Male,not-Smiling": (False, False),
}


def test_the_samples_show_every_word_of_their_concept(gan):
    chosen = samples_showing(gan, people("train"), list(CONCEPTS), n=5, among=300)
    for (concept, (smiles, man)), numbers in zip(CONCEPTS.items(), chosen, strict=True):
        assert len(set(numbers)) == 5, concept
        found = light(gan, numbers)
        assert ((found[:, 0] > 0.6) == smiles).all() and ((found[:, 1] > 0.6) == man).all(), (concept, found)
        assert ((found[:, 0] < 0.4) != smiles).all() and ((found[:, 1] < 0.4) != man).all(), (concept, found)


def test_the_surest_come_first_and_more_of_them_are_the_same_ones(gan):
    (few,), (more,) = (samples_showing(gan, people("train"), ["Smiling"], n=n, among=300) for n in (3, 30))
    assert more[:3] == few
    lightness = light(gan, more)[:, 0]
    assert lightness[:5].mean() > lightness[-5:].mean() > 0.5


def test_they_are_samples_of_the_seed(gan):
    (numbers,) = samples_showing(gan, people("train"), ["Male"], seed=7, among=300)
    assert (light(gan, numbers, seed=7)[:, 1] > 0.6).all()
    assert samples_showing(gan, people("train"), ["Male"], seed=7, among=300) == [numbers]


def test_labels_are_words_too(gan):
    digits = open_data("digits", val_split=0).subset(np.arange(300))
    (ones,) = samples_showing(gan, digits, ["1"], among=50)
    assert len(ones) == 3


def test_progress_counts_images_and_samples(gan):
    told = []
    samples_showing(
        gan, people("train"), ["Male,Smiling"], among=100, progress=lambda *state: told.append(state)
    )
    looked = [state for state in told if state[0] == "features"]
    assert looked[-1] == ("features", 164, 164) and looked == sorted(looked)
    assert told[len(looked) :] == [("learning", done, 2) for done in (0, 1, 2)]


def test_as_many_images_lack_a_word_as_show_it(gan, monkeypatch):
    """A classifier of unequal classes would lean to the larger one."""
    seen = []
    monkeypatch.setattr(
        reading, "_fitted", lambda rows, showing, lacking: seen.append((showing, lacking)) or _flat(rows)
    )
    images = people("train").subset(
        np.flatnonzero(people("train").attributes["Male"] > 0.5)[:20].tolist() + list(range(4, 10))
    )
    samples_showing(gan, images, ["Male"], among=10)
    ((showing, lacking),) = seen
    assert len(showing) == len(lacking) >= 3
    assert (images.attributes["Male"][showing] > 0.9).all() and (
        images.attributes["Male"][lacking] < 0.1
    ).all()


def _flat(rows):
    return reading.Probe(
        classes=torch.tensor([0, 1]),
        weight=torch.zeros(2, rows.shape[1]).double(),
        bias=torch.zeros(2).double(),
    )


@pytest.mark.parametrize(
    ("concept", "n", "words"),
    [
        ("Female", 3, "people has no attribute 'Female'"),
        ("Smiling", 2, "n has 2: a concept is the mean of at least 3"),
        ("Smiling", 0, "n must be"),
    ],
)
def test_wrong_words_and_numbers(gan, concept, n, words):
    with pytest.raises(ArgumentError, match=words):
        samples_showing(gan, people("train"), [concept], n=n, among=20)


def test_what_too_few_images_show_or_lack_cannot_be_learned(gan):
    smiling = np.flatnonzero(people("train").attributes["Smiling"] > 0.9)
    with pytest.raises(ArgumentError, match="the concept 'not-Smiling' in people is empty"):
        samples_showing(gan, people("train").subset(smiling), ["Smiling"], among=20)
