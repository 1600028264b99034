"""The net of a model, layer by layer, as `genzoo info --net` shows it. The model is built for it, with fresh
weights.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genzoo.cli.output import say, say_table

if TYPE_CHECKING:
    from torch import nn

    from genzoo.models import Model


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One part of a net that has parameters of its own.

    Attributes:
        name: its place in the net, as in the weights file.
        kind: its class.
        output: the shape that it gives for one image, None where that is not known or not always the same.
        parameters: how many numbers it holds itself, without its parts; shared weights count once.
    """

    name: str
    kind: str
    output: tuple[int, ...] | None
    parameters: int


def layers_of(model: Model) -> list[Layer]:
    """Return the layers of `model` that have parameters, in the order in which they are defined."""
    seen: set[int] = set()
    owners: list[tuple[str, nn.Module, int]] = []
    for name, module in model.named_modules():
        own = [parameter for parameter in module.parameters(recurse=False) if id(parameter) not in seen]
        # By identity: two layers that share a weight hold equal tensors, but equal tensors need not be
        # shared.
        seen |= set(map(id, own))
        if own:
            owners.append((name, module, sum(parameter.numel() for parameter in own)))
    outputs = _outputs(model, [module for _, module, _ in owners])
    return [
        Layer(name=name, kind=type(module).__name__, output=outputs.get(module), parameters=count)
        for name, module, count in owners
    ]


def facts(layers: list[Layer]) -> dict[str, Any]:
    """Return the layers and the number of parameters, ready for JSON."""
    rows = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "output": layer.output and list(layer.output),
            "parameters": layer.parameters,
        }
        for layer in layers
    ]
    return {"parameters": sum(layer.parameters for layer in layers), "layers": rows}


def say_net(layers: list[Layer]) -> None:
    """Print the layers as a table, and the number of parameters."""
    say(f"\nNet: {sum(layer.parameters for layer in layers):,} parameters")
    if layers:
        cells = [
            [
                layer.name or "(the model itself)",
                layer.kind,
                "×".join(map(str, layer.output)) if layer.output else "-",
                f"{layer.parameters:,}",
            ]
            for layer in layers
        ]
        say_table(["LAYER", "KIND", "OUTPUT", "PARAMETERS"], cells, indent="  ", spare=["OUTPUT", "KIND"])


def _outputs(model: Model, layers: list[nn.Module]) -> dict[nn.Module, tuple[int, ...]]:
    """Return the shape that each layer gives for one image; a layer that is not called, or gives several
    shapes, is left out.
    """
    import torch

    shapes: dict[nn.Module, set[tuple[int, ...]]] = {}

    def note(module: nn.Module, _: Any, output: Any) -> None:
        shape = tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else ()
        shapes.setdefault(module, set()).add(shape)

    # Shapes are observed, not computed: a plugin's layers may do anything.
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with contextlib.suppress(Exception):  # a plugin's own model may refuse: the table does without
        _compute(model)
    for hook in hooks:
        hook.remove()
    return {module: found.pop() for module, found in shapes.items() if len(found) == 1 and all(found)}


def _compute(model: Model) -> None:
    """Let the model compute once what it can do most quickly."""
    import torch

    from genzoo.models import AdversarialModel, ClassifyingModel, DensityModel, EncodingModel, GenerativeModel

    if model.condition is not None:
        model = model.given(model.condition.examples(1)[0])
    image = torch.zeros(1, *model.image_shape)
    if isinstance(model, EncodingModel):
        model.encode(image)
        # Encoding alone would leave the layers of the decoder without shapes.
        model.decode(model.sample_latents(1, seed=0))
    elif isinstance(model, ClassifyingModel):
        model.log_probs(image)
    elif isinstance(model, DensityModel):
        model.log_prob(image)
    elif isinstance(model, GenerativeModel):
        model.sample(1, seed=0)
    # Not elif: sampling has run the generator only.
    if isinstance(model, AdversarialModel):
        from genzoo.explore.features import logits

        logits(model, image)
