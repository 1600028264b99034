"""Training: players, games, and the one loop that plays them all."""

from genzoo.training import adversarial, classification, likelihood
from genzoo.training.adversarial import estimate_statistics
from genzoo.training.batch import Batch
from genzoo.training.callbacks import Callback, Moment
from genzoo.training.findings import Ailment, Curves
from genzoo.training.freezing import frozen
from genzoo.training.own import objective_of, penalty_of
from genzoo.training.players import Player, players
from genzoo.training.recomputing import keeping_activations
from genzoo.training.schedule import warmth
from genzoo.training.tracking import Tracked, Tracker

__all__ = [
    "Ailment",
    "Batch",
    "Callback",
    "Curves",
    "Moment",
    "Player",
    "Tracked",
    "Tracker",
    "adversarial",
    "classification",
    "estimate_statistics",
    "frozen",
    "keeping_activations",
    "likelihood",
    "objective_of",
    "penalty_of",
    "players",
    "warmth",
]
