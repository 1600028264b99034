"""How good is a model: likelihoods, sample quality beside the floor of real images, neighbours, and records
that know what they compare.

The single measures stand in their modules: distances, two_sample, copying, swd, msssim, parzen; what images
are described by, in spaces.
"""

from __future__ import annotations

from genzoo.evaluation.certificate import Certificate, certificate_of, certify
from genzoo.evaluation.likelihood import importance, likelihood
from genzoo.evaluation.neighbours import Neighbours, nearest_images
from genzoo.evaluation.quality import METRICS, evaluate_implicit, sample_quality
from genzoo.evaluation.records import Record, comparable, difference, rank
from genzoo.evaluation.spaces import GIST, FeatureSpace, feature_space

__all__ = [
    "GIST",
    "METRICS",
    "Certificate",
    "FeatureSpace",
    "Neighbours",
    "Record",
    "certificate_of",
    "certify",
    "comparable",
    "difference",
    "evaluate_implicit",
    "feature_space",
    "importance",
    "likelihood",
    "nearest_images",
    "rank",
    "sample_quality",
]
