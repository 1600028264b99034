"""The conditional Gated PixelCNN: equation 4, exact p(x|c), and the fast ways held against the plain ones."""

import dataclasses

import pytest
import torch
from genzoo_pixel.conditional import ConditionalGatedPixelCNN, ConditionalLayer
from genzoo_pixel.fast.swap import run
from genzoo_pixel.gated import GatedLayer

from genzoo import Labels, Recipe
from genzoo.models import AutoregressiveModel
from genzoo.models.weights import build_filled, encode
from genzoo.rng import Rng
from genzoo.testing.density import every_image
from genzoo.training import Batch, players

NAME = "conditional-pixelcnn-mnist"
SHAPES = [(1, 5, 6), (3, 6, 4), (1, 1, 4), (1, 4, 1)]
MIXED = torch.tensor([2, 0, 2])
LABELS = ("cat", "dog", "horse")


@pytest.fixture
def model(make):
    return make(NAME, image_shape=(1, 4, 5), labels=LABELS, hidden=8)


def noise(shape, n=3, levels=2):
    stream = torch.Generator().manual_seed(1)
    return torch.randint(0, levels, (n, *shape), generator=stream) / (levels - 1)


def gates_of(layer):
    """Return V and V' of the two stacks, (K, 4, p): what tanh and σ of the vertical one get, then of the
    horizontal."""
    return layer.labels.weight.unflatten(1, (4, -1))


class TestEquationFour:
    @pytest.mark.parametrize("first", [True, False])
    def test_both_halves_of_both_stacks_get_the_label_at_every_pixel(self, first):
        """tanh(W x + V c) · σ(W' x + V' c), written out; the link between the stacks carries no label."""
        torch.manual_seed(0)
        layer = ConditionalLayer(1 if first else 4, 4, 1, first, 3)
        x, label = torch.randn(2, 1 if first else 4, 5, 6), torch.tensor([2, 0])
        v, h = layer(x, x, label)
        wx = layer.vertical(x)
        tanh_v, sigma_v, tanh_h, sigma_h = gates_of(layer)[label].permute(1, 0, 2)[..., None, None]
        a, b = wx.chunk(2, 1)
        torch.testing.assert_close(v, torch.tanh(a + tanh_v) * torch.sigmoid(b + sigma_v))
        above = torch.nn.functional.pad(layer.link(wx), (0, 0, 1, 0))[:, :, :-1]
        a, b = (layer.horizontal(x) + above).chunk(2, 1)
        out = layer.out(torch.tanh(a + tanh_h) * torch.sigmoid(b + sigma_h))
        torch.testing.assert_close(h, out if first else x + out)

    def test_a_label_without_effect_leaves_the_gated_pixelcnn(self, make, model):
        with torch.no_grad():
            for layer in model.gated:
                layer.labels.weight.zero_()
        plain = make("gated-pixelcnn", image_shape=(1, 4, 5), hidden=8, head="bernoulli")
        plain.load_state_dict({k: v for k, v in model.state_dict().items() if ".labels." not in k})
        x = noise((1, 4, 5))
        assert torch.equal(model._network(x, MIXED), plain._network(x))
        assert torch.equal(model.log_prob(x, "dog"), plain.log_prob(x))
        assert torch.equal(model.sample(5, seed=3, condition=1), plain.sample(5, seed=3))

    def test_what_is_learned_of_a_label_comes_from_its_images(self, model):
        (player,) = players(model, Recipe())
        player.loss(Batch(noise((1, 4, 5)), condition=MIXED), torch.Generator()).backward()
        for layer in model.gated[:-1]:
            slopes = layer.labels.weight.grad.unflatten(1, (4, -1))
            assert (slopes[[0, 2]] != 0).any(-1).all() and (slopes[1] == 0).all()
        # nobody reads the vertical stack of the last layer
        assert (model.gated[-1].labels.weight.grad.unflatten(1, (4, -1))[2, 2:] != 0).any(-1).all()


class TestDensity:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_it_sums_to_one_for_each_label(self, make, channels):
        model = make(NAME, image_shape=(channels, 2, 2), labels=LABELS, head="softmax", levels=2).double()
        images = every_image(model.image_shape, 2)
        totals = [model.log_prob(images, name).double().exp().sum() for name in LABELS]
        assert torch.allclose(torch.stack(totals), torch.ones(3, dtype=torch.double), atol=1e-5)
        assert not torch.allclose(model.log_prob(images, 0), model.log_prob(images, 1))

    def test_every_earlier_pixel_is_seen_and_no_later_one(self, make):
        model = make(NAME, image_shape=(1, 6, 6), layers=8, labels=LABELS)
        assert model.full_context
        x = noise((1, 6, 6), 36).requires_grad_(True)
        outputs = model._network(2 * x - 1, torch.arange(36) % 3).flatten(1)
        (slopes,) = torch.autograd.grad(outputs.diagonal().sum(), x)  # row i: of what pixel i depends on
        assert torch.equal(slopes.flatten(1) != 0, torch.ones(36, 36).tril(-1).bool())

    def test_rows_belong_to_their_labels(self, model):
        x, order = noise((1, 4, 5)), torch.tensor([1, 2, 0])
        rows = model.log_prob(x, MIXED)
        torch.testing.assert_close(model.log_prob(x[order], MIXED[order]), rows[order])
        assert not torch.allclose(model.log_prob(x, MIXED[order]), rows)
        alone = [model.given(int(c)).log_prob(x[i : i + 1]) for i, c in enumerate(MIXED)]
        torch.testing.assert_close(torch.cat(alone), rows)

    def test_weights_keep_the_labels(self, model):
        import genzoo_pixel

        card = {card.name: card for card in genzoo_pixel.genzoo_cards()}[NAME]
        assert card.condition == Labels(tuple("0123456789"))
        loaded = build_filled(card, encode(model, NAME, {}, "float16"), "these weights")
        assert loaded.condition == Labels(LABELS)
        x = noise((1, 4, 5))
        torch.testing.assert_close(loaded.log_prob(x, MIXED), model.log_prob(x, MIXED), rtol=1e-2, atol=1e-2)


def learned(model, outputs):
    slope = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1)).to(outputs.dtype)
    return torch.autograd.grad(outputs, list(model.parameters()), slope)


class TestFast:
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_it_is_the_plain_net_in_float64(self, make, shape):
        model = make(NAME, image_shape=shape, labels=LABELS, layers=3, head="bernoulli").double()
        x = 2 * torch.rand(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
        plain, fast = model._network(x, MIXED), run(model._network, x, MIXED)
        torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)
        for ours, theirs in zip(learned(model, fast), learned(model, plain), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)

    def test_it_is_close_under_autocast(self, make):
        model = make(NAME, image_shape=(1, 6, 6), labels=LABELS, layers=3, scale=0.2)
        x = noise((1, 6, 6))
        exact = model._log_prob(x, MIXED)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model._log_prob(x, MIXED)
        torch.testing.assert_close(rough.float(), exact, rtol=2e-2, atol=2e-2)
        for part in learned(model, rough.float()):
            assert part.dtype == torch.float32 and torch.isfinite(part).all()

    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_machine_draws_from_the_plain_net(self, make, channels):
        shape = (channels, 4, 5)
        model = make(NAME, image_shape=shape, labels=LABELS, head="softmax", levels=3).double()
        machine, x = model._machine(3, MIXED), 2 * noise(shape, levels=3).double() - 1
        whole = model._network(x, MIXED).unflatten(1, (channels, model.outputs)).detach()
        for row in range(4):
            machine.begin(row)
            for column in range(5):
                for channel in range(channels):
                    found = machine.step(column, channel)
                    expected = whole[:, channel, :, row, column]
                    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
                    machine.put(column, channel, x[:, channel, row, column])

    def test_cached_and_naive_completions_are_equal(self, make, head, channels, monkeypatch):
        levels = {"bernoulli": None, "softmax": 5, "logistic": 4}[head]
        model = make(NAME, image_shape=(channels, 3, 4), labels=LABELS, head=head, levels=levels)
        x, stream = noise(model.image_shape, 4, model.levels), torch.Generator().manual_seed(2)
        mask, label = torch.rand(x.shape, generator=stream) < 0.3, torch.tensor([0, 1, 2, 1])
        with torch.inference_mode():
            naive = model._complete_naively(x, mask, Rng(0, 0, 4), label)
            monkeypatch.setattr(AutoregressiveModel, "_complete_naively", None)  # not to be called
            cached = model._complete(x, mask, Rng(0, 0, 4), label)
        assert torch.equal(cached, naive) and len(cached.unique()) > 1

    def test_a_hook_on_the_labels_is_called(self, model):
        seen = []
        expected = model.sample(2, seed=0, condition="dog")
        hook = model.gated[0].labels.register_forward_hook(lambda *given: seen.append(1))
        assert not model._unrolls()
        assert torch.equal(model.sample(2, seed=0, condition="dog"), expected) and seen
        hook.remove()
        assert model._unrolls()


class TestSamples:
    def test_an_image_is_a_function_of_the_seed_its_place_and_its_own_label(self, model):
        mixed = model.sample(40, seed=0, condition=[i % 3 for i in range(40)])
        for number in range(3):
            assert torch.equal(mixed[number::3], model.sample(40, seed=0, condition=number)[number::3])

    def test_completions_listen_and_are_weighed_by_their_label(self, model):
        x, mask = noise((1, 4, 5)), torch.zeros(4, 5, dtype=torch.bool)
        mask[:2] = True
        images, weights = model.complete_with_log_prob(x, mask, n=2, seed=0, condition=MIXED)
        expected = model.log_prob(images.flatten(0, 1), MIXED.repeat_interleave(2)).view(3, 2)
        torch.testing.assert_close(weights, expected)
        assert torch.equal(images[:, :, :, :2], x[:, None, :, :2].expand(-1, 2, -1, -1, -1))
        assert not torch.equal(images, model.complete(x, mask, n=2, seed=0, condition=1))

    def test_two_labels_are_drawn_with_the_same_numbers(self, model, monkeypatch):
        drawn = []
        uniform = Rng.uniform
        monkeypatch.setattr(
            Rng, "uniform", lambda self, *shape: drawn.append(uniform(self, *shape)) or drawn[-1]
        )
        for number in (0, 2):
            model.sample(2, seed=5, condition=number)
        assert len(drawn) == 2 and torch.equal(*drawn)


def forget_half(rows):
    """V' c is left out: the gates σ do not get the label."""
    vertical, horizontal = rows
    half = vertical.shape[1] // 2
    return tuple(torch.cat([one[:, :half], 0 * one[:, half:]], 1) for one in (vertical, horizontal))


BUGS = {
    "one half only": forget_half,
    "one stack only": lambda rows: (rows[0], 0 * rows[1]),
    "shuffled in the batch": lambda rows: tuple(one.roll(1, 0) for one in rows),
    "one label for the batch": lambda rows: tuple(one[:1].expand_as(one) for one in rows),
    "ignored": lambda rows: tuple(0 * one for one in rows),
}


class TestPlanted:
    """What each bug does to numbers that the tests above hold."""

    @pytest.mark.parametrize("bug", BUGS)
    def test_it_is_seen(self, monkeypatch, bug):
        whole = ConditionalLayer.offsets
        monkeypatch.setattr(ConditionalLayer, "offsets", lambda self, *label: BUGS[bug](whole(self, *label)))
        with pytest.raises(AssertionError):
            TestEquationFour().test_both_halves_of_both_stacks_get_the_label_at_every_pixel(False)

    @pytest.mark.parametrize("way", ["layer", "machine"])
    def test_a_fast_way_that_ignores_the_label(self, make, monkeypatch, way):
        from genzoo_pixel.fast import gated

        if way == "layer":
            monkeypatch.setattr(gated, "layer", lambda part, v, h, *label: GatedLayer.forward(part, v, h))
            monkeypatch.setattr(ConditionalLayer, "offsets", lambda self, *condition: ())
            check = TestFast().test_it_is_the_plain_net_in_float64
            arguments = (make, (1, 5, 6))
        else:
            begin = gated.Vertical.__init__

            def deaf(self, layer, n, wide, *condition):
                begin(self, layer, n, wide, *(0 * label for label in condition))

            monkeypatch.setattr(gated.Vertical, "__init__", deaf)
            check = TestFast().test_the_machine_draws_from_the_plain_net
            arguments = (make, 1)
        with pytest.raises((AssertionError, ValueError)):
            check(*arguments)


def test_the_card_is_that_of_the_unlabelled_net():
    import genzoo_pixel

    cards = {card.name: card for card in genzoo_pixel.genzoo_cards()}
    ours, theirs = cards[NAME], cards["gated-pixelcnn-mnist"]
    command = f"genzoo train {NAME} --init-from {theirs.name}"
    short = {"command": command, "steps": ours.recipe.steps, "shift": 0, "shift_until": 0}
    assert ours.config == theirs.config and ours.family is theirs.family
    assert ours.recipe == dataclasses.replace(theirs.recipe, **short)
    assert ours.load_class() is ConditionalGatedPixelCNN
