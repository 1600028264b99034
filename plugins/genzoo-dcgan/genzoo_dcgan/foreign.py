"""State dicts of other DCGANs: those of the usual tutorials, whose nets are stacks of transposed convolutions
(G) and of convolutions (D) with kernel 4 and stride 2.

Names do not count (`main.0.weight`, `deconv1.weight`), shapes do. Both nets may be in one file or in two. A
state dict shows neither activations nor the eps of batch norm: they are taken to be the paper's and torch's.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from genzoo.errors import WeightsError
from genzoo.models import Foreign, Layout, Net

COLOURS = (1, 3)


def dcgan_layout(found: Foreign, settings: Mapping[str, Any]) -> Layout:
    """Return the generator in `found`, its discriminator if there is one, and the config of both.

    Raises:
        WeightsError: no generator, or several; a normalisation that `settings` must name.
    """
    net = found.the_net("generator", generates)
    if net is None:
        what = "only a discriminator" if found.the_net("discriminator", judges) else found.words
        raise WeightsError(
            f"{found.where} has no stack of transposed convolutions that ends in 1 or 3 colours; it "
            f"has {what}",
            "a DCGAN's generator is imported from its state dict: torch.save(netG.state_dict(), FILE)",
        )
    first, last = net.convolutions[0].weight, net.convolutions[-1].weight
    doubled = 2 ** (len(net.convolutions) - 1)
    config: dict[str, Any] = {
        "image_shape": (last.shape[1], first.shape[2] * doubled, first.shape[3] * doubled),
        "latent_size": first.shape[0],
        "width": last.shape[0],
        "norm": _norm(net, "norm", found, settings),
    }
    parts = {"generator": net.layers}
    opponent = found.the_net("discriminator", judges)
    if opponent is not None:
        config["discriminator_width"] = opponent.convolutions[0].weight.shape[0]
        config["discriminator_norm"] = _norm(opponent, "discriminator_norm", found, settings)
        parts["discriminator"] = opponent.layers
    return Layout(config, parts)


def generates(net: Net) -> bool:
    """Return whether the convolutions of `net` are transposed, (in, out, …), and lead to 1 or 3 colours."""
    weights = [layer.weight for layer in net.convolutions]
    chained = all(a.shape[1] == b.shape[0] for a, b in pairwise(weights))
    return len(weights) > 1 and not net.linears and chained and weights[-1].shape[1] in COLOURS


def judges(net: Net) -> bool:
    """Return whether the convolutions of `net` are plain, (out, in, …), and lead from 1 or 3 colours to one
    number.
    """
    weights = [layer.weight for layer in net.convolutions]
    chained = all(a.shape[0] == b.shape[1] for a, b in pairwise(weights))
    ends = len(weights) > 1 and weights[0].shape[1] in COLOURS and weights[-1].shape[0] == 1
    return not net.linears and chained and ends


def _norm(net: Net, key: str, found: Foreign, settings: Mapping[str, Any]) -> str:
    if not net.norms:
        return "none"
    if any("running_mean" in layer.tensors for layer in net.norms):
        return "batch"
    if settings.get(key) is None:
        raise WeightsError(
            f"{found.where} does not say which normalisation {net.norms[0].words} is: it has no statistics",
            f"say it: --set {key}=instance or --set {key}=layer",
        )
    return str(settings[key])
