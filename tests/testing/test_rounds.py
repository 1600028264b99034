"""Laws of curves and memories: each broken relative of an honest game is refused in words."""

import pytest
import torch
from torch import nn

from genzoo.testing import LawError, check_game
from genzoo.training import Ailment, Player, players


class Count(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(()))


@pytest.fixture
def play(kinds, made):
    """play(change, **more): the laws on a game whose `change(memory)` is called after each round."""

    def check(change=lambda memory: memory.weight.mul_(2), memory=Count, weight=None, **more):
        cls = type("Rounds", (kinds.coder,), {})

        def game(model, recipe):
            kept = memory()

            def loss(batch, noise):
                error = (model.decode(model.into(batch.images.flatten(1))) - batch.images).square().mean()
                return error * (kept.weight if weight is None else weight(kept))

            def after_round(step):
                change(kept)
                return {"weight": torch.ones(())}

            given = {"memory": kept, "shared": True, "after_round": after_round, **more}
            return [Player(name="a", module=model, loss=loss, **given)]

        players.register(cls, game)
        check_game(made(cls))

    return check


def refused(play, words, *arguments, **options):
    with pytest.raises(LawError, match=words):
        play(*arguments, **options)


def test_an_honest_game_passes(play):
    play()
    play(shared=False)
    play(examine=lambda curves: [Ailment("a", "b", "c")] if curves.get("weight", [0])[-1:] == (1.0,) else [])


def test_state_outside_the_memory_is_found(play):
    """k of a BEGAN as a number of Python: a resumed run starts with another."""

    class Outside(Count):
        hidden = 1.0

    refused(
        play,
        "a resumed game has the losses of one that was never interrupted",
        lambda memory: setattr(memory, "hidden", memory.hidden * 2),
        memory=Outside,
        weight=lambda memory: memory.hidden,
    )


def test_a_memory_that_nobody_saves_is_found(play):
    hidden = []
    refused(
        play,
        "what the a keeps outside Player.memory",
        hidden.append,
        weight=lambda memory: 1.0 + sum(kept is memory for kept in hidden),
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a", "'a', which is also a player"),
        ("step", "'step', which is also a key of the log"),
        ("doctor", "'doctor', which is also a key of the log"),
    ],
)
def test_a_curve_has_a_name_of_its_own(play, name, words):
    refused(
        play, f"a curve has a name of its own(.|\n)*{words}", after_round=lambda step: {name: torch.ones(())}
    )


@pytest.mark.parametrize(
    ("value", "seen"),
    [(0.5, "M is 0.5"), (torch.ones(3), "M is tensor"), (torch.tensor(torch.nan), "M is nan")],
)
def test_a_curve_is_a_finite_scalar_tensor(play, value, seen):
    refused(play, f"a curve is a finite scalar tensor(.|\n)*{seen}", after_round=lambda step: {"M": value})


class Odd(Count):
    def __init__(self):
        super().__init__()
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))


class Learning(Count):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(()))


@pytest.mark.parametrize(("memory", "name"), [(Odd, "filled"), (Learning, "slope")])
def test_a_shared_memory_is_what_processes_can_average(play, memory, name):
    refused(play, f"only floating-point buffers(.|\n)*{name}", memory=memory)
    play(memory=memory, shared=False)


@pytest.mark.parametrize(
    "found", ["stuck", ("k", "at 0", "more"), Ailment("k", "", "more"), Ailment("k", 3, "x")]
)
def test_an_examination_returns_ailments(play, found):
    refused(play, "an ailment has a kind, words and a remedy", examine=lambda curves: [found])


def test_an_examination_copes_with_curves_of_any_length(play):
    with pytest.raises((IndexError, KeyError)):
        play(examine=lambda curves: [curves["weight"][9]][:0])  # as the doctor would find out
