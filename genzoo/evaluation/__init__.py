"""How good is a model: sample quality beside the floor of real images, nearest neighbours, and records that know what they compare.

The single measures stand in their modules: gist, distances, swd, msssim.
"""

from __future__ import annotations

from genzoo.evaluation.neighbours import Neighbours, nearest_images
from genzoo.evaluation.quality import METRICS, evaluate_implicit, sample_quality
from genzoo.evaluation.records import Record, comparable, difference, rank

__all__ = ["METRICS", "Neighbours", "Record", "comparable", "difference", "evaluate_implicit", "nearest_images", "rank", "sample_quality"]
