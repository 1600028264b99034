"""Configs and cards: limits and what is said beyond them, sizes of nets on paper, published weights."""

import pytest
import torch
from genzoo_pixel import genzoo_cards
from genzoo_pixel.masks import MaskedConv2d

import genzoo
from genzoo import Family
from genzoo.errors import ArgumentError, UnknownNameError

CARDS = {card.name: card for card in genzoo_cards()}
PUBLISHED = [name for name in CARDS if genzoo.info(name).has_weights]

WRONG = [
    ({"head": "gauss"}, "head must be one of bernoulli, softmax, logistic, not 'gauss'"),
    ({"levels": 1}, "levels must lie between 2 and 256, not 1"),
    ({"levels": 257}, "levels must lie between 2 and 256, not 257"),
    ({"width": 2}, "width must lie between 3 and 1024, not 2"),
    ({"width": 1025}, "width must lie between 3 and 1024, not 1025"),
    ({"width": 2.5}, r"width must be a whole number, not 2\.5"),
    ({"layers": 0}, "layers must lie between 1 and 100, not 0"),
    ({"layers": 101}, "layers must lie between 1 and 100, not 101"),
    ({"mixture": 0}, "mixture must lie between 1 and 100, not 0"),
    ({"mixture": 101}, "mixture must lie between 1 and 100, not 101"),
    ({"image_shape": (2, 4, 4)}, r"1 or 3 channels, not 2 — image_shape=\(C, H, W\)"),
    ({"image_shape": (4, 4, 4)}, "1 or 3 channels, not 4"),
    ({"image_shape": (1, 0, 4)}, "image_shape must lie between 1 and 1024, not 0"),
    ({"image_shape": (1, 4)}, "image_shape must have 3 items, not 2"),
    ({"head": "bernoulli", "levels": 3}, "'bernoulli' models 2 levels, not 3 — head='softmax'"),
]


@pytest.mark.parametrize(("config", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_beyond_a_limit_the_message_names_key_range_and_value(kind, config, said):
    with pytest.raises(ArgumentError, match=said) as raised:
        genzoo.create(kind, seed=0, **config)
    assert str(raised.value).startswith(f"config of {kind}: ") and "\n" not in str(raised.value)


@pytest.mark.parametrize("config", [{"width": 3, "layers": 1, "mixture": 1}, {"levels": 2}, {"levels": 256}])
def test_at_a_limit_a_net_is_made_and_draws(kind, config):
    head = "logistic" if "mixture" in config else "softmax"
    small = {"image_shape": (3, 1, 1), "layers": 1, "width": 3, "head": head, **config}
    model = genzoo.create(kind, seed=0, **small)
    images = model.sample(2, seed=0)
    assert images.shape == (2, 3, 1, 1) and torch.isfinite(model.log_prob(images)).all()


@pytest.mark.parametrize(("hidden", "expected"), [(None, 12), (3, 3), (9, 9)])
def test_the_hidden_width_belongs_to_the_gated_net(kind, hidden, expected):
    if kind == "gated-pixelcnn":
        model = genzoo.create(kind, seed=0, image_shape=(1, 2, 2), layers=1, width=6, hidden=hidden)
        assert model.tail[0].out_channels == expected
        with pytest.raises(ArgumentError, match="hidden must lie between 3 and 4096, not 2"):
            genzoo.create(kind, seed=0, hidden=2)
    else:
        with pytest.raises(UnknownNameError, match="hidden"):
            genzoo.create(kind, seed=0, hidden=hidden)


def size_on_paper(kind, c, h, layers, p):
    """Return the number of weights and biases: of c channels, width h, p parameters of a conditional."""
    stem = 28 * c * 2 * h + 2 * h
    if kind == "gated-pixelcnn":
        tail = h * 2 * h + 2 * h + 2 * h * c * p + c * p
        first = c * 2 * h * (28 + 7) + 2 * 2 * h
        later = h * 2 * h * (6 + 3) + 2 * 2 * h
        every = (2 * h) ** 2 + h * h + h
        return first + (layers - 1) * later + layers * every + tail
    tail = 2 * h * 2 * h + 2 * h + 2 * h * c * p + c * p
    up = h * 2 * h + 2 * h
    if kind == "pixelcnn":
        return stem + layers * (2 * h * h + h + 6 * h * h + h + up) + tail
    if kind == "pixelrnn-row":
        return stem + layers * (3 * 2 * h * 4 * h + 4 * h + 3 * h * 4 * h + 2 * h + up) + tail
    lstm = 2 * h * 8 * h + 8 * h + 2 * 2 * h * 4 * h + 2 * 3 * h
    return stem + c * 4 * h + layers * (lstm + up) + tail


@pytest.mark.parametrize(("width", "layers"), [(6, 1), (7, 3)])
def test_a_net_has_the_size_that_the_papers_give_it(make, kind, channels, width, layers):
    model = make(kind, image_shape=(channels, 3, 4), width=width, layers=layers, head="logistic", mixture=2)
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == size_on_paper(kind, channels, width, layers, 6)
    assert not list(model.buffers())


def test_the_size_of_the_image_does_not_change_the_net(make, kind):
    small, large = (make(kind, image_shape=(1, *size)).state_dict() for size in ((2, 3), (20, 10)))
    assert {key: value.shape for key, value in small.items()} == {k: v.shape for k, v in large.items()}


def test_the_cards_are_these_ten():
    assert sorted(CARDS) == [
        "conditional-pixelcnn-mnist",
        "gated-pixelcnn",
        "gated-pixelcnn-cifar10",
        "gated-pixelcnn-mnist",
        "pixelcnn",
        "pixelcnn-mnist",
        "pixelrnn-diagonal",
        "pixelrnn-diagonal-mnist",
        "pixelrnn-row",
        "pixelrnn-row-mnist",
    ]
    named = {name for name in CARDS if name.endswith(("-mnist", "-cifar10"))}
    assert set(PUBLISHED) == named


@pytest.mark.parametrize("name", CARDS)
def test_a_card_names_its_family_its_paper_and_how_it_is_trained(name):
    card = CARDS[name]
    assert card.family is Family.TRACTABLE and card.model.startswith("genzoo_pixel.")
    paper = "1606.05328" if "Gated" in card.model else "1601.06759"
    assert paper in card.paper and card.summary and not card.summary.endswith(".")
    assert card.recipe.command in (
        "",
        f"genzoo train {name} --data digits --set image_size=8x8 --set channels=1",
        f"genzoo train {name} --init-from {name.replace('conditional', 'gated')}",
        f"genzoo train {name} --init-from runs/first --set seed=1",
        f"genzoo train {name} --init-from runs/second --set seed=2",
        f"genzoo train {name} --init-from runs/first --set layers=18 --set seed=1",
        f"genzoo train {name} --init-from runs/first --set layers=18 --set seed=2",
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_are_of_the_card_and_nothing_under_a_mask_counts(name):
    model = genzoo.load(name)
    card, shape = CARDS[name], (3, 32, 32) if name.endswith("cifar10") else (1, 28, 28)
    assert f"{type(model).__module__}:{type(model).__name__}" == card.model
    assert model.image_shape == shape and model.config.head == card.config["head"]
    assert model.full_context == (name == "pixelrnn-diagonal-mnist") and model.exact
    model = model if model.condition is None else model.given("0")
    black = model.log_prob(torch.zeros(1, *shape))
    noise = torch.randint(0, 2, (1, *shape), generator=torch.Generator().manual_seed(0)).float()
    assert torch.isfinite(black).all() and (black > model.log_prob(noise) + 100).all()
    with torch.no_grad():
        for part in (module for module in model.modules() if isinstance(module, MaskedConv2d)):
            hidden = part.weight[part.mask == 0]
            assert not hidden.any() or part.channel_groups == 3  # between groups Muon writes under the mask
            part.weight.mul_(part.mask)
    assert torch.equal(model.log_prob(torch.zeros(1, *shape)), black)
