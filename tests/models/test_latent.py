"""Latent vectors and their images: one z, one image, whatever is decoded beside it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import toys
from toys import Coder, ToyConfig, ToyGAN, UniformGAN

from genzoo.errors import ArgumentError, GenzooError, NotGenerativeError
from genzoo.models import Posterior, model
from genzoo.models.model import in_chunks


class TestLatents:
    @pytest.mark.parametrize("make", [toys.gan, lambda: UniformGAN(ToyConfig())])
    def test_a_vector_does_not_depend_on_n(self, make):
        net = make()
        whole = net.sample_latents(2500, seed=5)
        assert whole.shape == (2500, 4) and whole.dtype == torch.float32
        for n in (1, 17, 1024, 1025):
            assert torch.equal(net.sample_latents(n, seed=5), whole[:n])
        assert len(set(whole[:, 0].tolist())) > 2400

    def test_priors(self):
        normal = toys.gan().sample_latents(4000, seed=0)
        uniform = UniformGAN(ToyConfig()).sample_latents(4000, seed=0)
        assert abs(normal.mean()) < 0.04 and abs(normal.var() - 1) < 0.05 and normal.abs().max() > 2.5
        assert abs(uniform.mean()) < 0.03 and abs(uniform.var() - 1 / 3) < 0.02 and uniform.abs().max() < 1

    def test_a_sample_is_the_image_of_its_latent(self):
        net = toys.gan()
        assert torch.equal(net.decode(net.sample_latents(20, seed=3)), net.sample(20, seed=3))

    @pytest.mark.parametrize("n", [0, -1, 1.5, True, "3", None])
    def test_wrong_n(self, n):
        with pytest.raises(ArgumentError, match="n must be a whole number of at least 1"):
            toys.gan().sample_latents(n)

    def test_a_billion_is_answered_with_what_it_would_need(self, monkeypatch):
        monkeypatch.setattr(model, "_memory", lambda: 2**30)
        with pytest.raises(ArgumentError, match=r"need 14\.9 GiB"):
            toys.gan().sample_latents(10**9)


class TestDecode:
    def test_alone_as_in_a_batch_at_any_position(self):
        net = toys.gan(width=8, image_shape=(3, 16, 16))
        z = net.sample_latents(40, seed=1)
        whole = net.decode(z)
        assert whole.shape == (40, 3, 16, 16)
        assert not torch.equal(whole[0], whole[1])
        for i in (0, 5, 15, 16, 39):
            assert torch.equal(net.decode(z[i : i + 1])[0], whole[i])
        assert torch.equal(net.decode(z.flip(0)).flip(0), whole)
        assert torch.equal(net.decode(torch.cat([1e3 * z[:7], z]))[7:], whole)

    def test_always_whole_chunks(self, monkeypatch):
        """A convolution may sum in another order for another batch size: it must never be given one."""
        sizes = []
        net = toys.gan()
        monkeypatch.setattr(
            ToyGAN, "_decode", lambda self, z: sizes.append(len(z)) or torch.zeros(len(z), 1, 8, 8)
        )
        for n in (1, 16, 21):
            net.decode(torch.zeros(n, 4))
            net.sample(n, seed=0)
        assert set(sizes) == {net.decode_chunk}

    def test_differentiable_where_z_asks_for_it(self):
        net = toys.gan()
        z = net.sample_latents(3, seed=0).requires_grad_(True)
        net.decode(z)[0].sum().backward()
        assert z.grad[0].abs().sum() > 0
        assert (z.grad[1:] == 0).all()
        assert not net.decode(z.detach()).requires_grad
        with torch.no_grad():
            assert not net.decode(z).requires_grad

    @pytest.mark.parametrize(
        ("z", "told"),
        [
            (torch.zeros(2, 5), r"shape \(N, 4\), not \(2, 5\)"),
            (torch.zeros(4), r"shape \(N, 4\), not \(4,\)"),
            (torch.zeros(0, 4), r"not \(0, 4\)"),
            (torch.zeros(1, 4, 1, 1), r"not \(1, 4, 1, 1\)"),
            (torch.zeros(1, 4, dtype=torch.int64), "floating-point numbers, not torch.int64"),
            (torch.full((1, 4), float("nan")), "NaN"),
            (torch.full((1, 4), -float("inf")), "infinite"),
            ("zzzz", "tensor of latent vectors, not str"),
            (None, "not NoneType"),
            ([[0.0, 1.0, 2.0, "3"]], "not list"),
        ],
    )
    def test_wrong_latents_are_refused_by_name(self, z, told):
        with pytest.raises(ArgumentError, match=told) as caught:
            toys.gan().decode(z)
        assert caught.value.message.startswith("z ")

    def test_other_forms_of_numbers(self):
        net = toys.gan()
        z = net.sample_latents(2, seed=0)
        for same in (z.numpy(), z.double(), z.tolist(), np.asfortranarray(z.numpy())):
            torch.testing.assert_close(net.decode(same), net.decode(z), rtol=0, atol=0)


def test_in_chunks_keeps_order_and_length():
    values = torch.arange(10.0)[:, None]
    for size in (1, 3, 10, 16):
        assert torch.equal(in_chunks(lambda x: 2 * x, size, values), 2 * values)


def test_encoding():
    net = Coder(ToyConfig()).train()
    codes = net.encode(torch.rand(3, 1, 8, 8))
    assert codes.shape == (3, 4) and not codes.requires_grad and net.training
    assert net.decode(codes).shape == (3, 1, 8, 8)
    with pytest.raises(ArgumentError, match="x"):
        net.encode(torch.zeros(3, 1, 8, 9))


class TestAutoencoder:
    """An EncodingModel alone has neither samples nor a likelihood, and says why."""

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("sample", "no prior"),
            ("sample_batches", "no prior"),
            ("log_prob", "no likelihood"),
            ("bits_per_dim", "no likelihood"),
        ],
    )
    def test_it_says_why(self, name, why):
        net = Coder(ToyConfig())
        with pytest.raises(NotGenerativeError, match=f"Coder .*{why}"):
            getattr(net, name)(2)
        assert not hasattr(net, name)

    def test_parts_and_unknown_names_are_found_or_not_as_ever(self):
        net = Coder(ToyConfig())
        assert net.down.out_features == 4
        with pytest.raises(AttributeError, match="upp") as caught:
            net.upp
        assert not isinstance(caught.value, GenzooError)


class TestLatentSize:
    def test_it_is_that_of_the_config(self):
        assert Coder(ToyConfig(latent_size=3)).latent_size == 3

    def test_a_config_without_it_is_told(self):
        net = Coder(ToyConfig())
        net.config = SimpleNamespace(image_shape=(1, 8, 8))
        with pytest.raises(ArgumentError, match="Coder has no latent_size — add the key latent_size to"):
            net.latent_size


class TestPosterior:
    def test_encode_returns_it_in_float32_without_gradients(self):
        class Variational(Coder):
            def _encode(self, x):
                mean = super()._encode(x)
                return Posterior(mean, (mean - 9).double())

        q = Variational(ToyConfig()).encode(torch.rand(3, 1, 8, 8))
        assert type(q) is Posterior
        assert all(part.shape == (3, 4) and part.dtype == torch.float32 for part in q)
        assert not q.mean.requires_grad
