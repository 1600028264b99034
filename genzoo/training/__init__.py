"""Training: players, games, and the one loop that plays them all."""

from genzoo.training import adversarial, classification, likelihood
from genzoo.training.players import Player, players
from genzoo.training.schedule import warmth

__all__ = ["Player", "adversarial", "classification", "likelihood", "players", "warmth"]
