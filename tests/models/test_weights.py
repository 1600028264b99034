"""Weights as bytes: the same bytes whenever saved, and every other file refused in one line that names it
(rule R8)."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
import toys
from safetensors.torch import save
from torch import nn
from toys import CARDS, ToyConfig, ToyGAN

from genzoo import Card, Family
from genzoo.errors import WeightsError
from genzoo.hub import facts_of
from genzoo.models import golden
from genzoo.models.weights import build_filled, encode, fill, rounded

CARD = CARDS["toy-gan"]
WHERE = "the file x.safetensors"


def blob_of(net, storage="float32"):
    return encode(net, "toy-gan", golden.record(net), storage)


def forged(state=None, facts=None, **changes):
    """Return a weights file that is right in everything but `changes`."""
    net = toys.gan()
    state = {key: value.clone() for key, value in (state or net.state_dict()).items()}
    known = facts_of(blob_of(net), WHERE)
    return save(state, metadata={"genzoo": json.dumps({**known, **changes} if facts is None else facts)})


class TestEncode:
    @pytest.mark.parametrize("storage", ["float32", "float16"])
    def test_saved_twice_the_bytes_are_the_same(self, storage):
        first, second = blob_of(toys.gan(), storage), blob_of(toys.gan(), storage)
        assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
        assert blob_of(build_filled(CARD, first, WHERE), storage) == first

    def test_nor_does_the_order_in_which_facts_were_put_down(self):
        assert encode(toys.gan(), "toy-gan", {"b": 1, "a": 2}) == encode(
            toys.gan(), "toy-gan", {"a": 2, "b": 1}
        )

    def test_memory_layout_does_not_change_the_bytes(self):
        assert blob_of(toys.gan().to(memory_format=torch.channels_last)) == blob_of(toys.gan())

    def test_facts(self):
        facts = facts_of(blob_of(toys.gan(width=6)), WHERE)
        assert (facts["name"], facts["config"]["width"], facts["storage"], facts["format"]) == (
            "toy-gan",
            6,
            "float32",
            1,
        )
        assert facts["golden"]["samples"]

    def test_float16_halves_the_file(self):
        big = toys.gan(width=32)
        assert len(blob_of(big, "float16")) < 0.7 * len(blob_of(big))

    def test_float16_is_what_rounded_leaves(self):
        """What was scored is what is published: rounding first changes neither the file nor the loaded
        model."""
        net, same = toys.gan(), toys.gan()
        rounded(net, "float16")
        assert blob_of(net, "float16") == encode(same, "toy-gan", golden.record(net), "float16")
        loaded = build_filled(CARD, blob_of(net, "float16"), WHERE)
        assert all(torch.equal(value, net.state_dict()[key]) for key, value in loaded.state_dict().items())
        assert torch.equal(loaded.sample(3, seed=0), net.sample(3, seed=0))
        assert not torch.equal(same.generator[0].weight, net.generator[0].weight)
        # statistics keep all their bits
        assert torch.equal(same.generator[1].running_var, net.generator[1].running_var)

    @pytest.mark.parametrize(
        ("value", "storage"), [(float("nan"), "float32"), (float("inf"), "float32"), (1e5, "float16")]
    )
    def test_what_is_not_finite_is_not_published(self, value, storage):
        net = toys.gan()
        with torch.no_grad():
            net.generator[0].weight.view(-1)[0] = value
        with pytest.raises(WeightsError, match=r"toy-gan: the tensor generator\.0\.weight is not finite"):
            encode(net, "toy-gan", {}, storage)


class TestFill:
    def test_the_same_model_comes_back(self):
        net = toys.gan()
        loaded = build_filled(CARD, blob_of(net), WHERE)
        assert torch.equal(loaded.sample(5, seed=1), net.sample(5, seed=1))
        assert not loaded.training
        assert all(p.requires_grad and p.is_leaf and not p.is_meta for p in loaded.parameters())

    def test_meta_and_ordinary_build_give_the_same_model(self):
        blob = blob_of(toys.gan(width=6))
        quick, slow = build_filled(CARD, blob, WHERE), fill(CARD.build(width=6), blob, WHERE)
        assert quick.config == slow.config
        assert torch.equal(quick.sample(2, seed=0), slow.sample(2, seed=0))
        for one, other in zip(quick.modules(), slow.modules(), strict=True):
            assert vars(one).keys() == vars(other).keys() and one.training == other.training
        for (name, one), (_, other) in zip(quick.named_parameters(), slow.named_parameters(), strict=True):
            assert (one.dtype, one.shape, one.requires_grad, one.device) == (
                other.dtype,
                other.shape,
                other.requires_grad,
                other.device,
            ), name

    def test_a_key_that_is_newer_than_the_file_has_its_default_not_what_the_card_says_today(self):
        """Weights of `dcgan-bedrooms` are older than `upsample`: with another value in the card they drew
        other pictures, and nothing said so."""
        config = {**facts_of(blob_of(toys.gan()), WHERE)["config"]}
        del config["dropout"]
        older = forged(config=config)
        today = CARD.replace(config={**CARD.config, "dropout": 0.9})
        assert build_filled(today, older, WHERE).config.dropout == ToyConfig().dropout
        assert build_filled(today, forged(), WHERE).config.dropout == ToyConfig().dropout

    def test_the_loaded_model_can_be_trained(self):
        loaded = build_filled(CARD, blob_of(toys.gan()), WHERE).train()
        loaded._discriminate(loaded._decode(torch.randn(4, 4))).sum().backward()
        torch.optim.SGD(loaded.parameters(), 0.1).step()
        assert not torch.equal(loaded.generator[0].weight, toys.gan().generator[0].weight)

    def test_the_bytes_may_be_forgotten_or_used_again(self):
        blob = blob_of(toys.gan())
        one, other = build_filled(CARD, blob, WHERE), build_filled(CARD, blob, WHERE)
        with torch.no_grad():
            one.generator[0].weight.zero_()
        assert other.generator[0].weight.abs().sum() > 0
        assert blob == blob_of(toys.gan())

    @pytest.mark.parametrize("kind", ["Buffered", "Attributed"])
    def test_what_no_file_holds_is_computed(self, kind):
        """Tensors outside the file, such as a mask, cannot come from the meta device."""
        card = Card(name="toy-gan", family=Family.IMPLICIT, model=f"toys_with_mask:{kind}")
        net = card.build()
        loaded = build_filled(card, encode(net, "toy-gan", {}), WHERE)
        assert torch.equal(loaded.sample(1, seed=0), net.sample(1, seed=0))

    @pytest.fixture(autouse=True)
    def masks(self, monkeypatch):
        import sys
        import types

        module = types.ModuleType("toys_with_mask")
        module.Buffered, module.Attributed = Buffered, Attributed
        monkeypatch.setitem(sys.modules, "toys_with_mask", module)


class Buffered(ToyGAN):
    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("mask", torch.ones(config.image_shape), persistent=False)

    def _decode(self, z):
        return super()._decode(z) * self.mask


class Attributed(Buffered):
    def __init__(self, config):
        ToyGAN.__init__(self, config)
        self.mask = torch.ones(config.image_shape)


def without(key):
    return {k: v for k, v in toys.gan().state_dict().items() if k != key}


def changed(key, value):
    return {**toys.gan().state_dict(), key: value}


KEY = "generator.0.weight"
SHAPED = toys.gan().generator[0].weight
FAULTS = {
    "missing key": (lambda: forged(without(KEY)), "1 tensors are missing, 'generator.0.weight' among them"),
    "odd key": (
        lambda: forged(changed("generator.0.weigth", SHAPED)),
        "1 tensors are unknown, 'generator.0.weigth' among them; did you",
    ),
    "dtype": (lambda: forged(changed(KEY, SHAPED.double())), "generator.0.weight is torch.float64"),
    "half in float32 storage": (
        lambda: forged(changed(KEY, SHAPED.half())),
        "the model expects torch.float32",
    ),
    "integers": (lambda: forged(changed(KEY, SHAPED.long())), "torch.int64"),
    "shape": (
        lambda: forged(changed(KEY, SHAPED.flatten())),
        "generator.0.weight is torch.float32 (256,), but the model expects",
    ),
    "nan": (
        lambda: forged(changed(KEY, SHAPED * float("nan"))),
        "generator.0.weight holds NaN or infinite values",
    ),
    "inf": (lambda: forged(changed(KEY, SHAPED / 0)), "holds NaN or infinite values"),
    "other config": (lambda: forged(config={"width": 6}), "the model expects torch.float32"),
    "config key": (lambda: forged(config={"widht": 4}), "unknown key 'widht'; did you mean 'width'?"),
    "config self": (lambda: forged(config={"self": 4}), "unknown key 'self'"),
    "config range": (lambda: forged(config={"width": 10**12}), "width must lie between"),
    "config list": (lambda: forged(config=[1]), "its header has no config"),
    "no config": (
        lambda: forged(facts={"format": 1, "storage": "float32", "golden": {}}),
        "its header has no config",
    ),
    "storage": (lambda: forged(storage="int4"), "its header has no storage"),
    "storage list": (lambda: forged(storage=[]), "its header has no storage"),
    "golden text": (lambda: forged(golden="x"), "its header has no golden"),
    "future": (lambda: forged(format=2), "has the format 2, but this genzoo reads 1"),
    "facts list": (lambda: forged(facts=[1]), "has the format [1], but this genzoo reads 1"),
    "facts text": (lambda: save({"a": SHAPED}, metadata={"genzoo": "{"}), "is not a genzoo weights file"),
    "stranger": (lambda: save({"a": SHAPED}, metadata={"format": "pt"}), "is not a genzoo weights file"),
    "no metadata": (lambda: save({"a": SHAPED}), "is not a genzoo weights file"),
    "empty": (lambda: b"", "is not a genzoo weights file"),
    "short": (lambda: b"\x08\0\0", "is not a genzoo weights file"),
    "html": (lambda: b"<!DOCTYPE html><html><body>404</body></html>" * 9, "is not a genzoo weights file"),
    "pickle": (lambda: b"\x80\x04\x95" + bytes(80), "is not a genzoo weights file"),
    "garbage": (lambda: (40).to_bytes(8, "little") + bytes(range(200)), "is not a genzoo weights file"),
    "enormous header": (lambda: (2**64 - 1).to_bytes(8, "little") + b"{}", "is not a genzoo weights file"),
    "deep": (lambda: _header("[" * 200_000), "is not a genzoo weights file"),
    "deep facts": (
        lambda: _header(json.dumps({"__metadata__": {"genzoo": "[" * 200_000}})),
        "is not a genzoo weights file",
    ),
    "truncated": (lambda: forged()[:-7], "is damaged"),
    "half": (lambda: forged()[: len(forged()) // 2], "is not a genzoo weights file"),
    "without the last tensor": (lambda: forged()[:-900], "is damaged"),
    "longer": (lambda: forged() + b"\0", "is damaged"),
    "overlapping": (lambda: _overlapping(), "is damaged"),
    "another number format": (lambda: forged().replace(b'"F32"', b'"F4" '), "is damaged"),
    "a number format that torch has not": (lambda: _strange(), "is damaged"),
    "hostile key": (lambda: forged(changed("\x1b[31m\u202e", SHAPED)), "unknown"),
}


def _header(text):
    return len(text).to_bytes(8, "little") + text.encode()


def _overlapping():
    blob = forged()
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    header[KEY]["data_offsets"] = header["generator.3.weight"]["data_offsets"]
    return _header(json.dumps(header)) + blob[8 + size :]


def _strange():
    """Return a file that safetensors accepts and torch has no type for: KeyError, as it happens."""
    about = json.dumps({"format": 1, "config": {}, "storage": "float32", "golden": {}})
    return (
        _header(
            json.dumps(
                {
                    "__metadata__": {"genzoo": about},
                    KEY: {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]},
                }
            )
        )
        + b"0"
    )


class TestFaults:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_one_line_that_names_the_file(self, fault):
        make, told = FAULTS[fault]
        with pytest.raises(WeightsError) as caught:
            build_filled(CARD, make(), WHERE)
        line = str(caught.value)
        assert line.startswith(WHERE)
        assert told in line
        assert line.isprintable() and len(line) < 600

    def test_every_truncation_is_refused(self):
        blob = forged()
        for size in range(0, len(blob), 97):
            with pytest.raises(WeightsError, match=WHERE):
                build_filled(CARD, blob[:size], WHERE)

    def test_right_in_everything_it_is_accepted(self):
        assert isinstance(build_filled(CARD, forged(), WHERE), nn.Module)

    def test_a_model_that_was_refused_is_left_as_it_was(self):
        net = ToyGAN(ToyConfig())
        before = {key: value.clone() for key, value in net.state_dict().items()}
        with pytest.raises(WeightsError):
            fill(net, forged(changed(KEY, SHAPED * float("nan"))), WHERE)
        assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
