"""The optimisers that a recipe can name per player: Adam, RMSProp, SGD and Muon.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") replaces the momentum of
a weight matrix by the nearest orthogonal one, so every direction of the matrix learns at the same pace. The
implementation is torch's; here it sees each convolution's weight as the matrix (outputs, inputs · height ·
width), and Adam updates everything else (biases, gains, a single output, the rows of an embedding).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer, RMSprop

from genzoo.errors import ArgumentError
from genzoo.layers.folding import fast_bf16
from genzoo.recipe import Recipe
from genzoo.schema import is_reference
from genzoo.training.own import find
from genzoo.training.players import Player
from genzoo.training.slots import check_first_steps

LEAST = 8  # rows and columns from which a weight counts as a matrix


def optimisers(player: Player, recipe: Recipe) -> dict[str, Optimizer]:
    """Return the optimisers of the player's parameters, by name: one, or with Muon one for the matrices and
    one for the rest.
    """
    parameters = [p for p in player.module.parameters() if p.requires_grad]
    kind, rate = recipe.optimizer_of(player.name), recipe.lr_of(player.name)
    tables = {id(m.weight) for m in player.module.modules() if isinstance(m, nn.Embedding)}
    matrices = [p for p in parameters if kind == "muon" and _is_matrix(p) and id(p) not in tables]
    others = [p for p in parameters if not any(p is matrix for matrix in matrices)]
    found: dict[str, Optimizer] = {}
    if others:
        found[player.name] = _make(player.name, kind, others, rate, recipe)
    if matrices:
        found[f"{player.name}-matrices"] = Muon(matrices, rate)
    return found


def _make(
    player: str, kind: str, parameters: list[torch.nn.Parameter], rate: float, recipe: Recipe
) -> Optimizer:
    if kind == "rmsprop":
        return RMSprop(parameters, lr=rate, foreach=True)
    if kind == "sgd":
        return SGD(parameters, lr=rate, fused=True)
    if is_reference(kind):
        return _own(player, kind, parameters, rate)
    # fused: one pass over memory instead of a dozen
    return Adam(parameters, lr=rate, betas=recipe.betas, fused=True)


def _own(player: str, name: str, parameters: list[torch.nn.Parameter], rate: float) -> Optimizer:
    make: Callable[..., Any] = find(name, {}, "optimizer")
    made = make(parameters, lr=rate)
    if not isinstance(made, Optimizer):
        raise ArgumentError(
            f"optimizer={name} makes a {type(made).__name__}, not a torch.optim.Optimizer",
            "name an optimiser class, or a function of (parameters, lr) that returns an optimiser",
        )
    check_first_steps(player, made)
    return made


def clip(parameters: list[nn.Parameter], largest: float) -> None:
    """Scale the gradients of `parameters` down together, in place, if their norm exceeds `largest`; 0 leaves
    them as they are.
    """
    if largest:
        nn.utils.clip_grad_norm_(parameters, largest)


@torch.no_grad()
def decay(parameters: list[nn.Parameter], share: float) -> None:
    """Take `share`, the learning rate times the weight decay, off each weight that has a gradient and two or
    more axes: the decoupled decay of Loshchilov & Hutter 2019 (arXiv:1711.05101), for every optimiser.

    Biases and gains have one axis and are left as they are.
    """
    weights: list[Tensor] = [p for p in parameters if p.ndim > 1 and p.grad is not None] if share else []
    if weights:
        torch._foreach_mul_(tuple(weights), 1 - share)


class Muon(torch.optim.Muon):
    """torch's Muon for weights with two or more axes, each treated as a matrix with one row per output.

    An update has the root mean square of Adam's, so one learning rate suits both the matrices and Adam's
    weights. Weight decay is not its own: `decay` has it for every optimiser.
    """

    def __init__(self, weights: list[torch.nn.Parameter], rate: float) -> None:
        self.weights = weights
        super().__init__(
            [_matrix(w.detach(), w) for w in weights],
            lr=rate,
            weight_decay=0.0,
            adjust_lr_fn="match_rms_adamw",
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the weights, which share their memory with the matrices, from their gradients.

        The equations are those of torch's step. That one computes in bf16 on every device, and a processor
        without bf16 instructions then spends more time here than in the rest of a round.
        """
        loss = None if closure is None else torch.enable_grad()(closure)()
        group = self.param_groups[0]
        for matrix, weight in zip(group["params"], self.weights, strict=True):
            if weight.grad is None:
                continue
            gradient = _matrix(weight.grad, weight)
            state = self.state[matrix]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(matrix)
            average = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
            update = orthogonal(gradient.lerp(average, group["momentum"]))
            matrix.sub_(update, alpha=group["lr"] * 0.2 * max(matrix.shape) ** 0.5)
        return loss


def orthogonal(matrix: Tensor) -> Tensor:
    """Return U·S·Vᵀ with all of S near 1 (0.7 to 1.2) for the matrix U·D·Vᵀ: five Newton–Schulz steps of
    Jordan et al. 2024, in bf16 where the device has instructions for it, else in float32.
    """
    x = matrix.to(torch.bfloat16 if fast_bf16(matrix.device) else torch.float32)
    tall = len(x) > x.shape[1]
    x = x.T if tall else x  # the products are (rows, rows): the fewer, the better
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.T if tall else x


def _is_matrix(weight: Tensor) -> bool:
    return weight.ndim >= 2 and min(len(weight), weight[0].numel()) >= LEAST


def _matrix(tensor: Tensor, like: Tensor) -> Tensor:
    """Return `tensor` as a matrix, with columns in the memory order of `like`, whose own matrix is thus a
    view.
    """
    axes = sorted(range(1, like.ndim), key=like.stride, reverse=True)
    turned = tensor.permute(0, *axes)
    return (
        turned.view(len(like), -1) if tensor.data_ptr() == like.data_ptr() else turned.reshape(len(like), -1)
    )
