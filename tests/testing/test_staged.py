"""The laws of models with stages, each on a model that breaks it."""

import pytest
import torch
from staged_toys import steps
from torch.nn.functional import avg_pool2d

from genzoo.testing import LawError, check_staged


def test_an_honest_model_passes():
    check_staged(steps())


def planted(words, stages):
    with pytest.raises(LawError, match=words):
        check_staged(steps(_stages=stages))


def halves(self, z):
    return [avg_pool2d(self._decode(z), 2), self._decode(z)]


def test_a_model_without_stages_is_refused(kinds, made):
    with pytest.raises(LawError, match="check_staged is for a StagedModel"):
        check_staged(made(kinds.game))


def test_no_stage_is_refused():
    planted("at least one", lambda self, z: [])


def test_fine_before_coarse_is_refused():
    planted("from coarse to fine", lambda self, z: halves(self, z)[::-1])


def test_a_range_of_minus_1_to_1_is_refused():
    planted(r"images in \[0, 1\]", lambda self, z: [4 * stage - 3 for stage in halves(self, z)])


def test_a_last_stage_that_is_another_image_is_refused():
    planted(r"the last stage, enlarged, is decode\(z\)", lambda self, z: [1 - self._decode(z)])


def test_noise_in_a_stage_is_refused():
    def noisy(self, z):
        coarse, fine = halves(self, z)
        return [coarse * torch.rand_like(coarse), fine]

    planted("the same z gives the same stages", noisy)


def test_batch_statistics_in_a_stage_are_refused():
    def centred(self, z):
        coarse, fine = halves(self, z)
        return [(coarse - coarse.mean(0) + 0.5).clamp(0, 1), fine]

    planted("the same z gives the same stages", centred)


def test_images_of_earlier_weights_are_refused():
    kept = {}

    def remembered(self, z):
        return [kept.setdefault("image", self._decode(z))]

    with pytest.raises(LawError):
        check_staged(steps(_stages=remembered))
