"""What a stranger's package may bring to the adversarial game, named in recipes as `own_parts:name`."""

import torch

from genzoo.losses.objectives import Objective

# the relativistic cost of "how much less real than 1", as plain squares
SQUARES = Objective(
    real=lambda x: (x - 1) ** 2, fake=lambda x: (x + 1) ** 2, generator=lambda x: (x - 1) ** 2
)
MARK: list[str] = []


def at_real(critic, real, fake, share):
    """The penalty R1: half the squared slope at real images (Mescheder et al. 2018)."""
    MARK.append("penalty")
    points = real.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return slope.flatten(1).square().sum(1).mean() / 2


def at_copies(critic, real, fake, share):
    """The penalty R2, at copies of the fakes."""
    points = fake.detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return slope.flatten(1).square().sum(1).mean() / 2


def darken(images, noise):
    """A transform: each image times a number from 0.5 to 1."""
    MARK.append("transform")
    return images * (0.5 + torch.rand(len(images), 1, 1, 1, generator=noise) / 2)


def adamw(parameters, lr):
    """An optimiser."""
    return torch.optim.AdamW(parameters, lr=lr)


def no_optimiser(parameters, lr):
    """None."""
    return []


class Cooling(torch.optim.Optimizer):
    """Counts in its group and beside each weight, as schedule-free optimisers and Prodigy do."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr, "k": 0, "best": float("inf"), "warm": False})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            group["k"] += 1
            group["warm"] = group["k"] > 2
            group["total"] = group.get("total", torch.zeros(())) + 0.1
            for weight in filter(lambda weight: weight.grad is not None, group["params"]):
                state = self.state[weight]
                state["seen"] = state.get("seen", 0) + 1
                state["share"] = 0.1 + 0.9 * state.get("share", 1.0)
                state["none"] = None
                pace = state["share"] ** state["seen"] / (group["k"] + float(group["total"]) + group["warm"])
                weight.sub_(weight.grad, alpha=group["lr"] * pace)


class Hoarder(torch.optim.SGD):
    """Keeps a list of gradients of each weight."""

    def step(self, closure=None):
        super().step()
        for weight in self.param_groups[0]["params"]:
            self.state[weight].setdefault("gradients", []).append(weight.grad)
