"""The class of a model decides what is measured of it, in whatever order it names its bases."""

import itertools
import types

import pytest
import torch
import toys

import genzoo
from genzoo.data import open_data
from genzoo.errors import ArgumentError
from genzoo.evaluation.classification import measure_classifier
from genzoo.evaluation.likelihood import measure_bounds, measure_density
from genzoo.evaluation.measures import measures
from genzoo.evaluation.quality import measure_samples
from genzoo.evaluation.reconstruction import measure_reconstructions, other_measure
from genzoo.evaluation.translation import measure_translations
from genzoo.models import (
    ClassifyingModel,
    DensityModel,
    EncodingModel,
    GenerativeModel,
    ImplicitModel,
    ImportanceModel,
    TranslatingModel,
)
from genzoo.request import Request

# What says most of a model comes first.
ORDER = {
    ImportanceModel: measure_bounds,
    DensityModel: measure_density,
    TranslatingModel: measure_translations,
    ImplicitModel: measure_samples,
    ClassifyingModel: measure_classifier,
    EncodingModel: measure_reconstructions,
}


def expected(kind):
    return next(measure for base, measure in ORDER.items() if issubclass(kind, base))


def test_every_kind_of_the_core_is_registered():
    assert {kind: measures.dispatch(kind) for kind in ORDER} == ORDER
    assert set(measures.registry) >= set(ORDER)


def test_every_installed_model_is_measured_by_what_says_most_of_it():
    kinds = {card.load_class() for card in genzoo.cards()}
    assert len(kinds) > 8
    for kind in kinds:
        found = measures.dispatch(kind)
        own = found.__module__.partition(".")[0] != "genzoo"  # a plugin may know better
        assert own or found is expected(kind), kind.__name__


@pytest.mark.parametrize("base", [DensityModel, ImportanceModel, ImplicitModel, ClassifyingModel])
@pytest.mark.parametrize("turned", [False, True])
def test_codes_are_measured_only_where_there_is_nothing_else(base, turned):
    bases = (EncodingModel, base) if turned else (base, EncodingModel)
    kind = types.new_class("Both", bases, {}, lambda body: body.update(exact=False))
    first = measures.dispatch(kind)
    assert (other_measure(kind) if first is measure_reconstructions else first) is ORDER[base]
    assert (first is measure_reconstructions) == turned
    assert other_measure(toys.Coder) is None


class Coded(EncodingModel, toys.Bernoulli):
    """Has a likelihood too, and names its codes first."""

    latent_size = 4

    def _encode(self, x):
        return x.flatten(1)[:, :4]

    def _decode(self, z):
        return self.logits.sigmoid().expand(len(z), -1, -1, -1)


def test_a_likelihood_says_more_than_reconstructions_whichever_base_comes_first():
    images = open_data("binarized-digits", image_shape=(1, 8, 8), split="test")
    found = list(measures(Coded(toys.ToyConfig()), images, images, Request(n=3), subject="coded"))
    assert [(record.metric, record.unit) for record in found] == [("nll", "nats"), ("nll", "bits/dim")]


def test_a_class_without_measures_is_told_where_they_are_registered():
    class Painter(GenerativeModel):
        def _sample(self, draws):
            return torch.zeros(draws.n, 1, 8, 8)

    with pytest.raises(ArgumentError, match="Painter has no measures") as caught:
        measures(Painter(), None, None, Request(), subject="painter")
    assert "genzoo.evaluation.measures.register" in caught.value.hint


def test_bounds_come_behind_the_likelihood_as_they_are_asked_for():
    images = open_data("binarized-digits", image_shape=(1, 8, 8), split="test")
    model = toys.Coins(toys.ToyConfig())
    found = {
        draws: [
            record.protocol.partition(",")[0]
            for record in measures(model, images, images, Request(n=3, draws=draws), subject="coins")
        ]
        for draws in ((), (2,), None)
    }
    assert [len(found[draws]) for draws in ((), (2,), None)] == [2, 4, 10]
    assert found[2,][2:] == ["K = 2"] * 2
    assert all(a == b for a, b in itertools.pairwise(rows[:2] for rows in found.values()))
