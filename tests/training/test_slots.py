"""What a checkpoint keeps of an optimiser: everything that someone else's needs, or it is refused at once."""

from __future__ import annotations

import own_parts
import pytest
import torch
import toys
from torch import nn, optim

from genzoo.errors import TrainingError
from genzoo.training import checkpoint, slots
from genzoo.training.optimisers import optimisers
from genzoo.training.players import Player

FACTS = checkpoint.Facts(step=3, steps=9, seconds=0.0, processes=1, data="", images="", recipe={}, config={})
OTHERS = {
    "SGD with momentum": lambda p: optim.SGD(p, 1e-2, momentum=0.9),
    "RMSprop with momentum": lambda p: optim.RMSprop(p, 1e-2, momentum=0.9, centered=True),
    "Adam with amsgrad": lambda p: optim.Adam(p, 1e-2, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, 1e-2),
    "NAdam": lambda p: optim.NAdam(p, 1e-2),
    "RAdam": lambda p: optim.RAdam(p, 1e-2),
    "Adagrad": lambda p: optim.Adagrad(p, 1e-2),
    "Adamax": lambda p: optim.Adamax(p, 1e-2),
    "Adadelta": lambda p: optim.Adadelta(p, 1e-2),
    "Rprop": lambda p: optim.Rprop(p, 1e-2),
    "ASGD": lambda p: optim.ASGD(p, 1e-2, t0=2),
    "Adafactor": lambda p: optim.Adafactor(p, 1e-2),
    "Cooling": lambda p: own_parts.Cooling(p, 1e-2),
}


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))


def steps(module, optimiser, first, last):
    for number in range(first, last):
        x = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(number))
        optimiser.zero_grad()
        module(x).square().sum().backward()
        optimiser.step()


def saved(path, make):
    module = net()
    optimiser = make(module.parameters())
    steps(module, optimiser, 0, 3)
    checkpoint.write(path, {"model": module}, {"coder": optimiser}, FACTS)
    return module, optimiser, checkpoint.read(path)[0]


@pytest.mark.parametrize("name", OTHERS)
def test_someone_else_s_optimiser_goes_on_with_the_same_bits(tmp_path, name):
    make = OTHERS[name]
    module, optimiser, tensors = saved(tmp_path / "c", make)
    again = net(seed=1)
    other = make(again.parameters())
    checkpoint.restore(tensors, {"model": again}, {"coder": other})
    steps(module, optimiser, 3, 7), steps(again, other, 3, 7)
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(module.parameters(), again.parameters(), strict=True)
    )
    for ours, theirs in zip(optimiser.state.values(), other.state.values(), strict=True):
        assert {key: type(value) for key, value in ours.items()} == {
            key: type(value) for key, value in theirs.items()
        }
    for ours, theirs in zip(optimiser.param_groups, other.param_groups, strict=True):
        assert {**ours, "params": ()} == {**theirs, "params": ()}


def test_a_run_with_one_ends_in_the_same_bits(start, tmp_path):
    recipe = {"optimizer": {"all": "own_parts:Cooling"}, "lr": {"all": 1e-2}}
    whole, half = (start(folder=tmp_path / name, model=toys.gan(), **recipe) for name in ("a", "b"))
    half.model.load_state_dict(whole.model.state_dict())
    for run, rounds in ((whole, 6), (half, 3)):
        for _ in range(rounds):
            run.play_round()
    half.save()
    again = start(folder=tmp_path / "b", **recipe)
    again.resume()
    for _ in range(3):
        again.play_round()
    ours, theirs = whole.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert again.optimisers["generator"].param_groups[0]["k"] == 6


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("adam", {"step", "exp_avg", "exp_avg_sq"}),
        ("rmsprop", {"step", "square_avg"}),
        ("sgd", set()),
        ("muon", {"momentum_buffer"}),
    ],
)
def test_genzoo_s_own_keep_what_they_always_kept(tmp_path, kind, found):
    """So that their checkpoints stay the same, and are checked slot by slot."""
    module = nn.Linear(16, 16, bias=kind != "muon")
    player = Player(name="coder", module=module, loss=lambda batch, noise: batch.images)
    ((name, optimiser),) = optimisers(player, toys.recipe_of(toys.RECIPE, optimizer={"all": kind})).items()
    module(torch.ones(2, 16)).sum().backward()
    optimiser.step()
    expected = {
        f"optimiser.{name}.{i}.{slot}" for i in range(len(list(module.parameters()))) for slot in found
    }
    tensors = slots.kept(name, optimiser)
    assert tensors.keys() == expected
    places = {slots.place_of(key): value for key, value in tensors.items()}
    assert slots.flaw(optimiser, places) == ""
    places[slots.Place("optimiser", name, "0", "more")] = module.weight.detach()
    assert "keeps ['" in slots.flaw(optimiser, places)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimiser.coder.4.seen", torch.zeros(())),
        ("optimiser-number.coder.4.seen", torch.zeros((), dtype=torch.int64)),
        ("optimiser-number.coder.0.seen", torch.zeros((), dtype=torch.int32)),
        ("optimiser-number.coder.0.seen", torch.zeros(2, dtype=torch.int64)),
        ("group-number.coder.1.k", torch.zeros((), dtype=torch.int64)),
        ("group-number.other.0.k", torch.zeros((), dtype=torch.int64)),
        ("group-number.coder.0.lr", torch.zeros((), dtype=torch.float64)),
        ("group.coder.0.params", torch.zeros(())),
        ("group.coder.-1.total", torch.zeros(())),
    ],
)
def test_what_is_not_of_the_optimiser_is_refused_and_nothing_is_changed(tmp_path, key, value):
    tensors = {**saved(tmp_path / "c", OTHERS["Cooling"])[2], key: value}
    module = net(seed=1)
    optimiser = OTHERS["Cooling"](module.parameters())
    before = [weight.clone() for weight in module.parameters()]
    with pytest.raises(TrainingError, match=f"belongs to another run: 1 tensors differ, including '{key}'"):
        checkpoint.restore(tensors, {"model": module}, {"coder": optimiser})
    assert all(torch.equal(*pair) for pair in zip(before, module.parameters(), strict=True))
    assert not optimiser.state and optimiser.param_groups[0]["k"] == 0


def test_numbers_of_genzoo_s_own_are_refused(tmp_path):
    make = lambda weights: optim.Adam(weights, 1e-2)  # noqa: E731
    tensors = saved(tmp_path / "c", make)[2]
    tensors["optimiser-number.coder.0.step"] = torch.tensor(3)
    module = net()
    with pytest.raises(TrainingError, match=r"optimiser-number\.coder\.0\.step is none that Adam keeps"):
        checkpoint.restore(tensors, {"model": module}, {"coder": make(module.parameters())})


def test_one_that_cannot_be_kept_is_refused_after_its_first_step(start):
    run = start(optimizer={"all": "own_parts:Hoarder"})
    with pytest.raises(
        TrainingError, match=r"the optimiser of discriminator \(Hoarder\) keeps 'gradients', a list"
    ) as caught:
        run.play_round()
    assert "tensors and numbers" in caught.value.hint


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made, weight: made.state.update({"all": {"step": 1}}),
        lambda made, weight: made.state[weight].update({"a.b": 1}),
        lambda made, weight: made.state[weight].update({"seed": 2**63}),
        lambda made, weight: made.state[weight].update({"phase": torch.zeros(2, dtype=torch.complex64)}),
        lambda made, weight: made.state[weight].update({"rows": torch.eye(2).to_sparse()}),
        lambda made, weight: made.param_groups[0].update({"count": 2**63}),
    ],
)
def test_what_cannot_be_kept_is_one_line(tmp_path, spoil):
    module = net()
    made = own_parts.Cooling(module.parameters(), 1e-2)
    steps(module, made, 0, 1)
    slots.kept("coder", made)
    spoil(made, next(module.parameters()))
    with pytest.raises(TrainingError, match="which a checkpoint cannot keep") as caught:
        slots.kept("coder", made)
    assert str(caught.value).isprintable()
