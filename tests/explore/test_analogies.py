"""Analogies: one z over all labels, on a model whose images show both."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from conditional_toys import NAMES
from latent_toys import Codes, StripesConfig

from genzoo import Labels
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.explore.analogies import analogies
from genzoo.models import Posterior
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class LabelledConfig(StripesConfig):
    labels: tuple[str, ...] = field(default=NAMES, metadata=limits())


class Labelled(Codes):
    """Stripes as light as z, plus a tenth of the number of the label."""

    Config = LabelledConfig
    condition_type = Labels

    def _decode(self, z, condition):
        return Codes._decode(self, z) + 0.1 * condition[:, None, None, None]

    def _encode(self, x, condition):
        mean = Codes._encode(self, x - 0.1 * condition[:, None, None, None])
        return Posterior(mean, torch.zeros_like(mean))


class LabelledCodes(Labelled):
    """The same as an autoencoder: a code instead of a posterior."""

    def _encode(self, x, condition):
        return super()._encode(x, condition).mean


@pytest.fixture(params=[Labelled, LabelledCodes])
def model(request):
    return request.param(LabelledConfig()).eval()


Z = torch.tensor([[-0.5, 0.3], [0.1, -1.0]])
OWN = [2, 0]


def test_each_image_is_followed_by_its_style_under_every_label(model):
    images = model.decode(Z, OWN)
    found = analogies(model, images, OWN)
    assert found.shape == (2, 4, 1, 8, 8) and torch.equal(found[:, 0], images)
    for number in range(3):
        torch.testing.assert_close(found[:, 1 + number], model.decode(Z, number), atol=1e-3, rtol=0)
    for row, own in enumerate(OWN):  # its own label gives its reconstruction
        torch.testing.assert_close(found[row, 1 + own], images[row], atol=1e-3, rtol=0)


def test_the_label_is_that_of_the_image(model):
    images = model.decode(Z, OWN)
    assert not torch.allclose(analogies(model, images, OWN)[:, 1:], analogies(model, images, [0, 2])[:, 1:])
    by_name = analogies(model, images, ["horse", "cat"])
    assert torch.equal(by_name, analogies(model, images, OWN))
    assert torch.equal(analogies(model, images[:1], "horse"), by_name[:1])


@pytest.mark.parametrize(
    ("images", "conditions", "error", "said"),
    [
        (torch.zeros(2, 1, 8, 8), None, ArgumentError, "needs a condition"),
        (torch.zeros(2, 1, 8, 8), [0], ArgumentError, "1 labels for 2 images"),
        (torch.zeros(2, 1, 8, 8), "hors", UnknownNameError, "did you mean 'horse'"),
        (torch.zeros(2, 1, 8, 9), 0, ArgumentError, "images"),
        (torch.full((1, 1, 8, 8), 1.5), 0, ArgumentError, "images"),
    ],
)
def test_what_is_refused(model, images, conditions, error, said):
    with pytest.raises(error, match=said):
        analogies(model, images, conditions)


def test_models_that_have_none():
    with pytest.raises(ArgumentError, match="takes no label"):
        analogies(Codes(StripesConfig()), torch.zeros(1, 1, 8, 8), 0)
    with pytest.raises(ArgumentError, match="takes no label"):
        analogies(Labelled(LabelledConfig()).given("cat"), torch.zeros(1, 1, 8, 8), None)
    with pytest.raises(ArgumentError, match="no latent z"):
        analogies(torch.nn.Linear(1, 1), torch.zeros(1, 1, 8, 8), 0)
