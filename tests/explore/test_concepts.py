"""Concepts: which images show one, and which latent vectors stand for it."""

import latent_toys
import numpy as np
import pytest
import torch

from genzoo.data import Images, open_data
from genzoo.errors import ArgumentError
from genzoo.explore.concepts import choose, members, of_seeds


def people():
    """Return six images: their labels 0 0 1 1 7 7, and how sure two attributes are."""
    shares = {"Smiling": [0.95, 0.05, 0.95, 0.5, np.nan, 0.91], "Male": [0.95, 0.95, 0.05, 0.95, 0.05, 0.09]}
    columns = {name: np.array(values, np.float32) for name, values in shares.items()}
    pixels = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    return Images(pixels=pixels, name="people", labels=np.array([0, 0, 1, 1, 7, 7]), attributes=columns)


@pytest.mark.parametrize(
    ("concept", "expected"),
    [
        ("Smiling", [0, 2, 5]),
        ("not-Smiling", [1]),  # what is unsure or unknown is neither
        ("not-Male", [2, 4, 5]),
        ("Smiling,not-Male", [2, 5]),
        (" Smiling , Male ", [0]),
        ("7", [4, 5]),
        ("not-0", [2, 3, 4, 5]),
        ("not-0,Male", [3]),
        ("Smiling,not-Smiling", []),
        ("3", []),
    ],
)
def test_who_shows_a_concept(concept, expected):
    assert members(people(), concept).tolist() == expected


@pytest.mark.parametrize(
    ("images", "concept", "told"),
    [
        (
            people(),
            "Smilling",
            (
                "people has no attribute 'Smilling'; did you mean 'Smiling'\\? — write not-NAME .*it has "
                "Smiling, Male"
            ),
        ),
        (people(), "", "people has no attribute ''"),
        (people(), "Male,", "people has no attribute ''"),
        (people(), "1" * 30, "people has no attribute '1111"),
        (
            people().replace(attributes=None),
            "Male",
            "people has labels but no attributes: 'Male' is not a label",
        ),
        (people().replace(attributes=None, labels=None), "7", "people has neither labels nor attributes"),
    ],
)
def test_a_word_that_says_nothing_of_the_images(images, concept, told):
    with pytest.raises(ArgumentError, match=told):
        members(images, concept)


def test_the_name_of_a_class_is_a_concept():
    # named in the order 10, 9, cat, dog
    named = people().replace(attributes=None, labels=["cat", "cat", "dog", "10", "10", "9"])
    assert members(named, "cat").tolist() == [0, 1] and members(named, "not-dog").tolist() == [0, 1, 3, 4, 5]
    assert members(named, "10").tolist() == [3, 4]  # a name goes before a number
    with pytest.raises(
        ArgumentError,
        match="'ape' is not a label — a label is a whole number, such as 7, or a class: cat, dog",
    ):
        members(named, "ape")


class TestChoice:
    def test_it_is_of_those_who_show_it_and_of_the_seed(self):
        digits = open_data("digits")
        found = digits.float(members(digits, "4"))
        some = choose(digits, "4", 5, seed=0)
        assert some.shape == (5, 1, 8, 8)
        assert all((found == image).all((1, 2, 3)).any() for image in some)
        assert torch.equal(choose(digits, "4", 3, seed=0), some[:3])
        assert not torch.equal(choose(digits, "4", 5, seed=1), some)
        assert len(choose(digits, "4", 10**6, seed=0)) == len(found)

    @pytest.mark.parametrize(("concept", "told"), [("Smiling,not-Male", "has 2"), ("3", "is empty")])
    def test_too_few(self, concept, told):
        with pytest.raises(ArgumentError, match=f"the concept '{concept}' in people {told}: .*at least 3"):
            choose(people(), concept, 5, seed=0)


class TestSeeds:
    model = latent_toys.model()

    def test_a_seed_is_the_first_image_and_a_pair_any(self):
        group = of_seeds(self.model, [5, (5, 0), (7, 3)])
        assert torch.equal(group[0], group[1])
        assert torch.equal(group[0], self.model.sample_latents(2, seed=5)[0])
        assert torch.equal(group[2], self.model.sample_latents(4, seed=7)[3])
        assert torch.equal(self.model.decode(group[2:])[0], self.model.sample(4, seed=7)[3])

    @pytest.mark.parametrize("wrong", [(1, -1), (1, 2.5), (1, 2, 3), (None, 0), None, -1, "7", 2**63])
    def test_what_is_no_seed(self, wrong):
        with pytest.raises(ArgumentError, match="seed"):
            of_seeds(self.model, [1, 2, wrong])
