"""What the laws promise of small nets, looked at once more on the published weights, in their full size."""

import pytest
import torch
from genzoo_pixel import genzoo_cards

import genzoo
from genzoo.rng import Rng

PUBLISHED = [card.name for card in genzoo_cards() if genzoo.info(card.name).has_weights]
PLACES = (0.0, 0.3, 0.55, 0.9)  # of the scan, as shares of it


@pytest.fixture(scope="module", params=PUBLISHED)
def model(request):
    return genzoo.load(request.param)


def scan(values):
    """Return (..., C, H, W) as (..., D) in the order of the scan: row by row, channels in turn."""
    return values.movedim(-3, -1).flatten(-3)


def told(model, n):
    """Return the labels (n,) of n images, for a model that takes some."""
    return () if model.condition is None else (torch.arange(n) % len(model.condition.names),)


def test_no_conditional_changes_with_what_comes_later(model):
    """To the bit: a later value has no way to it, not a weak one."""
    noise = torch.Generator().manual_seed(0)
    images, others = (
        torch.randint(0, model.levels, (2, *model.image_shape), generator=noise) / (model.levels - 1)
        for _ in range(2)
    )
    size = images[0].numel()
    # place of each value in the scan
    order = scan(torch.arange(size).view(model.image_shape)).argsort().view(model.image_shape)
    with torch.no_grad():
        labels = told(model, len(images))
        params = scan(model._predict(images, *labels))
        for first in (int(share * size) for share in PLACES):
            changed = scan(model._predict(torch.where(order < first, images, others), *labels))
            assert torch.equal(changed[..., : first + 1], params[..., : first + 1])
            assert not torch.equal(changed[..., first + 1 :], params[..., first + 1 :])


def test_samples_are_what_the_conditionals_say(model):
    """A sample, asked about in one pass of the network, has at each place the quantile of that place's random
    number."""
    labels = told(model, 3)
    samples = model.sample(3, seed=4, condition=labels[0] if labels else None)
    # (3, D) in the order of the scan
    uniforms = Rng(4, 0, 3).uniform(*model.image_shape[1:], model.image_shape[0]).flatten(1)
    params = scan(model.double()._predict(samples.double(), *labels))  # (3, P, D)
    values = torch.stack(
        [model._quantile(params[:, :, place], uniforms[:, place]) for place in range(uniforms.shape[1])], 1
    )
    model.float()
    assert torch.equal(values, (scan(samples) * (model.levels - 1)).round().long())
