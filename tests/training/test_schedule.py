"""What changes along a run is a function of the step, which each turn is told."""

import toys

from genzoo.training import Player, warmth


def test_a_warm_up_is_a_line_and_then_over():
    assert [warmth(step, 4) for step in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    assert warmth(0, 0) == 1


def test_a_player_is_told_the_round_before_each_turn(start, monkeypatch):
    told, shown = [], []

    def one_player(model, recipe):
        def loss(batch, noise):
            images = batch.images
            shown.append(told[-1])
            return model.logits.square().sum() + images.mean() * 0

        return [Player(name="model", module=model, loss=loss, turns=2, before_turn=told.append)]

    monkeypatch.setattr("genzoo.training.loop.players", one_player)
    run = start(model=toys.Bernoulli(toys.ToyConfig()), steps=3)
    for _ in range(3):
        run.play_round()
    assert told == shown == [0, 0, 1, 1, 2, 2]
