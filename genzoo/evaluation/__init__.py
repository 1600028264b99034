"""Measure how good a model is: likelihoods, sample quality next to the floor (the score of real images),
neighbours, and records that state what they compare.

Each measure has its own module: distances, two_sample, copying, swd, msssim, parzen; the features that images
are compared in are in spaces.
"""

from __future__ import annotations

from genzoo.evaluation import classification, reconstruction, translation  # what they measure is registered
from genzoo.evaluation.bayes import bayes, label_log_probs
from genzoo.evaluation.certificate import Certificate, certificate_of, certify
from genzoo.evaluation.inputs import subset
from genzoo.evaluation.likelihood import importance, likelihood
from genzoo.evaluation.neighbours import Neighbours, nearest_images
from genzoo.evaluation.quality import measure_samples, sample_quality
from genzoo.evaluation.scoring import score_model
from genzoo.evaluation.spaces import GIST, FeatureSpace, feature_space
from genzoo.evaluation.standard_errors import mean_error
from genzoo.metrics import METRICS
from genzoo.record import FLOOR, Record, comparable, difference, rank
from genzoo.request import Progress, Request

__all__ = [
    "FLOOR",
    "GIST",
    "METRICS",
    "Certificate",
    "FeatureSpace",
    "Neighbours",
    "Progress",
    "Record",
    "Request",
    "bayes",
    "certificate_of",
    "certify",
    "classification",
    "comparable",
    "difference",
    "feature_space",
    "importance",
    "label_log_probs",
    "likelihood",
    "mean_error",
    "measure_samples",
    "nearest_images",
    "rank",
    "reconstruction",
    "sample_quality",
    "score_model",
    "subset",
    "translation",
]
