"""Explorers of conditional models: each takes `condition`, and gives what it gives for the model with this
condition fixed."""

from __future__ import annotations

import pytest
import torch
from conditional_toys import NAMES, LabelCodes, LabelGAN, LabelPixels, card

from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.explore.arithmetic import arithmetic
from genzoo.explore.blending import blend
from genzoo.explore.completion import completed, completions, keep_mask
from genzoo.explore.concepts import of_images, of_seeds
from genzoo.explore.context import context, dependence
from genzoo.explore.drawing import drawing
from genzoo.explore.features import features
from genzoo.explore.interpolation import interpolate
from genzoo.explore.latents import codes, reconstruct
from genzoo.explore.manifold import manifold
from genzoo.explore.traversal import traverse

X = torch.linspace(0.1, 0.9, 4 * 64).view(4, 1, 8, 8)
BINARY = (X > 0.4).float()
MASK = keep_mask("top", 8, 8)


def made(kind, **config):
    torch.manual_seed(0)
    return card(kind, config=config).build().eval()


GAN, CODES, PIXELS = made(LabelGAN), made(LabelCodes, latent_size=2), made(LabelPixels)
SEEDS = [1, 2, 3]
# what takes one condition for all its images, and the model that it is asked of
EXPLORERS = {
    "interpolate": (lambda m, **c: interpolate(m, 2, 3, 0, **c), GAN),
    "traverse": (lambda m, **c: traverse(m, [0], 3, **c), GAN),
    "manifold": (lambda m, **c: manifold(m, 3, **c), CODES),
    "arithmetic": (lambda m, **c: arithmetic(m, [of_seeds(m, SEEDS)], n=2, seed=0, **c).images, GAN),
    "codes": (lambda m, **c: codes(m, X, **c), CODES),
    "reconstruct": (lambda m, **c: reconstruct(m, X, **c), CODES),
    "of_images": (lambda m, **c: of_images(m, X, **c), CODES),
    "features of a GAN": (lambda m, **c: features(m, X, **c), GAN),
    "features of codes": (lambda m, **c: features(m, X, **c), CODES),
    "completed": (lambda m, **c: completed(m, BINARY, MASK, 2, 0, **c), PIXELS),
    "log_prob_drawn": (lambda m, **c: completions(m, BINARY, MASK, 1, 0, **c).log_prob_drawn, PIXELS),
    "drawing": (lambda m, **c: torch.stack(list(drawing(m, 2, 0, 3, **c))), PIXELS),
    "context": (lambda m, **c: context(m, **c), PIXELS),
    "dependence": (lambda m, **c: dependence(m, BINARY[0], **c), PIXELS),
}
DEAF = ("features of a GAN",)  # the hidden layers of this D do not depend on the label


@pytest.mark.parametrize("name", EXPLORERS)
class TestOneForAll:
    def test_it_gives_what_the_model_with_its_condition_fixed_gives(self, name):
        ask, model = EXPLORERS[name]
        own = ask(model, condition="dog")
        assert torch.equal(own, ask(model.given(1)))
        assert torch.equal(own, ask(model, condition="cat")) == (name in DEAF)

    def test_it_is_asked_for_by_name(self, name):
        ask, model = EXPLORERS[name]
        with pytest.raises(ArgumentError, match=r"needs a condition: it takes 3 labels: cat, dog, horse — "):
            ask(model)
        with pytest.raises(UnknownNameError, match="did you mean 'horse'"):
            ask(model, condition="hors")
        with pytest.raises(ArgumentError, match="takes no condition: it is fixed"):
            ask(model.given(1), condition="dog")


class TestEach:
    @pytest.mark.parametrize("ask", [codes, reconstruct, features])
    def test_image_i_has_label_i(self, ask):
        labels = ["dog", "cat", "horse", "dog"]
        mixed = ask(CODES, X, condition=labels)
        for i, label in enumerate(labels):
            assert torch.allclose(mixed[i], ask(CODES, X, condition=label)[i], atol=1e-6)

    def test_completions(self):
        labels = [2, 0, 1, 2]
        mixed = completions(PIXELS, BINARY, MASK, 2, 0, condition=labels)
        for i, label in enumerate(labels):
            one = completions(PIXELS, BINARY, MASK, 2, 0, condition=label)
            assert torch.equal(mixed.drawn[i], one.drawn[i])
            assert torch.equal(mixed.log_prob[i], one.log_prob[i])

    def test_a_walk_each(self):
        mixed = interpolate(GAN, 3, 4, 0, condition=["dog", "cat", "horse"])
        for i, label in enumerate(["dog", "cat", "horse"]):
            assert torch.equal(mixed[i], interpolate(GAN, 3, 4, 0, condition=label)[i])

    def test_others_are_refused(self):
        with pytest.raises(ArgumentError, match="2 labels for 4 images"):
            reconstruct(CODES, X, condition=["dog", "cat"])


class TestBlend:
    @pytest.mark.parametrize("model", [GAN, CODES], ids=["gan", "codes"])
    def test_from_one_label_to_another(self, model):
        z = torch.randn(3, model.latent_size, generator=torch.Generator().manual_seed(0))
        walk = blend(model, z, "cat", "horse", steps=5)
        assert walk.shape == (3, 5, 1, 8, 8)
        assert torch.equal(walk[:, 0], model.decode(z, "cat"))
        assert torch.equal(walk[:, -1], model.decode(z, "horse"))
        assert all(not torch.equal(walk[:, i], walk[:, i + 1]) for i in range(4))
        assert torch.equal(model.decode(z, "cat"), walk[:, 0])  # and nothing is left behind
        assert torch.allclose(walk.flip(1), blend(model, z, "horse", "cat", steps=5), atol=1e-5)

    def test_the_middle_is_decoded_from_the_mean_of_both_embeddings(self):
        z = GAN.sample_latents(2, seed=0)
        embed, net = GAN.generator
        mean = (embed.weight[0] + embed.weight[1]) / 2
        expected = net((z + mean)[:, :, None, None]).clamp(0, 1)
        assert torch.allclose(blend(GAN, z, 0, 1, steps=3)[:, 1], expected, atol=1e-6)

    def test_labels_that_are_not_embedded(self):
        model = made(LabelCodes, latent_size=2)
        model.embed = torch.nn.Module()  # type: ignore[assignment]
        model.embed.forward = lambda rows: torch.nn.functional.one_hot(rows, 3)[:, :2].float()
        with pytest.raises(ArgumentError, match="are not embedded"):
            blend(model, torch.zeros(1, 2), "cat", "dog")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"first": "hors"}, "did you mean 'horse'"),
            ({"last": 7}, "run from 0 to 2"),
            ({"steps": 1}, "at least 2"),
            ({"z": torch.zeros(1, 9)}, r"\(N, 4\)"),
            ({"model": GAN.given("cat")}, "takes no labels to walk between"),
            ({"model": PIXELS}, "no latent z"),
        ],
    )
    def test_what_is_refused(self, change, said):
        usual = {"model": GAN, "z": torch.zeros(1, 4), "first": NAMES[0], "last": NAMES[1]}
        with pytest.raises((ArgumentError, UnknownNameError), match=said):
            blend(**{**usual, **change})
