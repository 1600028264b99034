"""Both nets: what a text is, where it enters, and what each needs of it."""

import pytest
import torch
from genzoo_text import CARDS
from genzoo_text.nets import Words, dcgan_of
from genzoo_text.textgan import TextGANConfig
from genzoo_text.words import flower_text
from text_toys import SENTENCES, rows, tiny

from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.models import golden

MOST = 8 * 1024**2  # bytes of float16 weights


def images(n=3, side=8):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1))


class TestWords:
    def test_a_text_is_the_sum_of_its_words_in_any_order(self):
        words = Words(4, 3)
        found = words(torch.tensor([[1, 2, 0], [2, 1, 0], [2, 2, 1], [0, 0, 0]]))
        one, two = words.vectors.weight[1], words.vectors.weight[2]
        assert torch.equal(found[0], found[1]) and torch.allclose(found[0], one + two)
        assert torch.allclose(found[2], one + 2 * two) and not found[3].any()

    def test_filling_up_adds_nothing_before_and_after_a_step(self):
        words = Words(4, 3)
        optimiser = torch.optim.Adam(words.parameters(), lr=0.1)
        words(torch.tensor([[1, 0, 0]])).sum().backward()
        optimiser.step()
        assert not words.vectors.weight[0].any()
        assert torch.equal(words(torch.tensor([[1, 2]])), words(torch.tensor([[1, 2, 0, 0]])))

    @pytest.mark.parametrize("join", ["project", "concatenate"])
    def test_a_model_says_nothing_of_a_filled_up_text(self, join):
        model = tiny(join=join)
        for words in (model.generator.words, model.discriminator.words):
            assert not words.vectors.weight[0].any() and words.vectors.weight[1:].any()


class TestDiscriminator:
    def test_project_adds_the_scalar_product_of_text_and_map(self):
        judge = tiny(join="project").discriminator.eval()
        x, texts = 2 * images() - 1, rows(*SENTENCES)
        maps = judge.features(x)
        expected = judge.head(maps).flatten() + torch.einsum("nc,nchw->n", judge.words(texts), maps)
        assert torch.allclose(judge(x, judge.words(texts)), expected, atol=1e-5)
        assert torch.equal(judge(x, torch.zeros(3, maps.shape[1])), judge.head(maps).flatten())

    def test_concatenate_shows_the_text_at_every_position(self):
        judge = tiny(join="concatenate").discriminator.eval()
        maps, embedded = judge.features(2 * images() - 1), judge.words(rows(*SENTENCES))
        joined = judge.joint(maps, embedded)
        assert joined.shape == maps.shape
        text = judge.joint.compress(embedded)
        here = torch.cat([maps[:, :, 1, 2], text], 1)[:, :, None, None]
        assert torch.allclose(judge.joint.mix(here)[:, :, 0, 0], joined[:, :, 1, 2], atol=1e-6)
        assert torch.equal(judge.judge(maps, embedded), judge.head(joined).flatten())

    @pytest.mark.parametrize("join", ["project", "concatenate"])
    def test_images_are_described_without_their_text(self, join):
        """So a right and a wrong text are compared with one description."""
        judge = tiny(join=join).discriminator.eval()
        x, texts = 2 * images() - 1, rows(*SENTENCES)
        maps = judge.features(x)
        for embedded in (judge.words(texts), judge.words(texts.flip(0))):
            assert torch.equal(judge.judge(maps, embedded), judge(x, embedded))
        both = judge.words(texts), judge.words(texts.flip(0))
        assert torch.equal(judge(x, *both), torch.stack([judge(x, embedded) for embedded in both]))


class TestModel:
    def test_words_are_learned_by_each_net_for_itself(self):
        model = tiny()
        ours, theirs = model.generator.words, model.discriminator.words
        assert ours.vectors.weight.data_ptr() != theirs.vectors.weight.data_ptr()

    def test_samples_of_texts(self):
        model = tiny().eval()
        found = model.sample(3, seed=4, condition=list(SENTENCES))
        assert found.shape == (3, 3, 8, 8)
        alone = model.sample(1, seed=4, condition=SENTENCES[0])
        assert torch.allclose(alone[0], found[0], atol=1e-5)
        assert torch.allclose(model.sample(1, seed=4, condition="Rose, RED a!")[0], found[0], atol=1e-5)
        assert not torch.allclose(model.sample(1, seed=4, condition=SENTENCES[1])[0], found[0], atol=1e-3)

    def test_z_and_text_are_one_input_of_the_dcgan(self):
        config = TextGANConfig(latent_size=7, text_size=5, width=4, discriminator_width=6, upsample="plain")
        own = dcgan_of(config)
        assert (own.latent_size, own.width, own.discriminator_width, own.upsample) == (12, 4, 6, "plain")
        assert own.norm == "batch" and own.image_shape == config.image_shape

    def test_wrong_texts_and_sizes_are_refused(self):
        model = tiny()
        with pytest.raises(UnknownNameError, match="did you mean 'rose'"):
            model.sample(1, condition="a red rosee")
        with pytest.raises(ArgumentError, match="no word in an empty text"):
            model.sample(1, condition="")
        with pytest.raises(ArgumentError, match="needs a condition"):
            model.sample(1)
        with pytest.raises(ArgumentError, match="must be even"):
            tiny(image_shape=(3, 9, 8))

    @pytest.mark.parametrize("join", ["project", "concatenate"])
    def test_golden_outputs_state_their_texts(self, join):
        outputs = golden.record(tiny(join=join).eval())
        assert set(outputs["condition"]) <= set(SENTENCES)


def test_the_weights_of_the_card_are_small_in_float16():
    (card,) = CARDS
    with torch.device("meta"):
        model = card.build()
    assert sum(2 * tensor.numel() for tensor in model.state_dict().values()) < MOST
    assert model.condition == flower_text() == card.condition
