"""Training: players, games, and the one loop that plays them all."""

from genzoo.training import adversarial, likelihood
from genzoo.training.players import Player, players

__all__ = ["Player", "adversarial", "likelihood", "players"]
