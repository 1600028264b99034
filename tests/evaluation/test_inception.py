"""Inception features: the file and its layout, the usual scores against torchmetrics, and what they are
called."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import pytest
import torch
import toys
from safetensors.torch import save_file
from torch import nn

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError, WeightsError
from genzoo.evaluation import GIST, sample_quality, usual
from genzoo.evaluation.distances import fid, kid
from genzoo.evaluation.inception import Inception, resized
from genzoo.evaluation.scoring import score_model
from genzoo.evaluation.usual import filled, inception_score, inception_space, space_of_net
from genzoo.request import Request


class Small(nn.Module):
    """A net in the place of the large one: features and class scores of 8x8 images."""

    def __init__(self, features=12, classes=7):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.body = nn.Linear(64, features)
            self.fc = nn.Linear(features, classes)
            self.fc.weight.data.mul_(6)

    def forward(self, images):
        return self.body(images.to(self.fc.weight.dtype).mean(1).flatten(1) / 255).tanh()

    def logits(self, features):
        return features @ self.fc.weight.T


def images(n, seed):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, 8, 8), generator=rng, dtype=torch.uint8)


SPACE = space_of_net(Small(), "inception-2015-12-05@0123456789ab", usual=True)


def measured(space=SPACE, **options):
    train, test = (Images(pixels=images(60, seed).numpy(), name="made") for seed in (1, 2))
    return sample_quality(images(60, 9), train, test, space=space, subject="toy", **options)


def by(records, metric, subject="toy"):
    (found,) = [one for one in records if (one.metric, one.subject) == (metric, subject)]
    return found


class TestAgainstTorchmetrics:
    """The same features, told to torchmetrics as a net of its own."""

    @pytest.fixture
    def sides(self):
        net = Small().double()
        real, made = images(80, 5), images(80, 6) // 2
        with torch.no_grad():
            return net, real, made, net(real.double()), net(made.double())

    def test_fid(self, sides):
        image = pytest.importorskip("torchmetrics.image.fid")
        net, real, made, x, y = sides
        net.num_features = 12
        theirs = image.FrechetInceptionDistance(feature=net, normalize=False)
        theirs.set_dtype(torch.float64)
        theirs.update(real, real=True)
        theirs.update(made, real=False)
        assert fid(x, y) == pytest.approx(float(theirs.compute()), rel=1e-6)

    def test_kid(self, sides):
        kernel = pytest.importorskip("torchmetrics.image.kid")
        _, _, _, x, y = sides
        assert kid(x, y).value == pytest.approx(float(kernel.poly_mmd(x, y)), rel=1e-6)

    @pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save:UserWarning")
    def test_inception_score(self, sides):
        image = pytest.importorskip("torchmetrics.image.inception")
        net, _, made, _, y = sides
        scores = net.logits(y).detach()
        net.forward = lambda images: scores if len(images) == len(made) else None
        theirs = image.InceptionScore(feature=net, splits=10)
        theirs.update(made)
        order = torch.arange(len(scores))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "randperm", lambda n: order)  # it shuffles first; then the splits are ours
            mean, spread = theirs.compute()
        ours = inception_score(scores)
        assert (ours.mean, ours.spread) == pytest.approx((float(mean), float(spread)), rel=1e-5)
        assert 1 < ours.mean < 7


def test_the_score_of_what_is_known():
    certain = torch.eye(4).repeat(10, 1) * 100  # four classes, each certain and equally frequent
    assert inception_score(certain, splits=2).mean == pytest.approx(4)
    assert inception_score(torch.zeros(40, 4)).mean == pytest.approx(1)
    with pytest.raises(ArgumentError, match="at least 20 images, not 19"):
        inception_score(torch.zeros(19, 4))


@pytest.mark.parametrize("n", [20, 21, 101])
def test_the_score_has_ten_parts_that_differ_by_one_row_at_most(n):
    scores = 3 * torch.randn(n, 5, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    expected = []
    for part in scores.softmax(1).split([n // 10 + (i < n % 10) for i in range(10)]):
        expected.append(float((part * (part / part.mean(0)).log()).sum(1).mean().exp()))
    found = inception_score(scores)
    assert found.mean == pytest.approx(statistics.mean(expected))
    assert found.spread == pytest.approx(statistics.stdev(expected))


class TestNames:
    def test_only_this_space_gives_the_usual_fid(self):
        found = measured()
        assert "not the usual FID" not in by(found, "fid").note
        assert by(found, "fid").label == "fid[inception-2015-12-05@0123456789ab]"
        score = by(found, "inception-score")
        assert (score.better, score.n_reference) == ("higher", None) and "10 splits" in score.note
        assert by(found, "inception-score", "train").value > 1

    def test_any_other_says_that_it_is_not(self):
        found = measured(GIST)
        assert "not the usual FID" in by(found, "fid").note
        assert not [one for one in found if one.metric == "inception-score"]
        other = measured(space_of_net(Small(), "inception@0123456789ab", usual=False), metrics=["fid"])
        assert "not the usual FID" in by(other, "fid").note

    def test_a_score_without_class_scores_is_refused(self):
        with pytest.raises(ArgumentError, match=r"needs the class scores.*--features inception --weights"):
            measured(GIST, metrics=["inception-score"])


class TestFile:
    def tensors(self, classes=1008, dtype=torch.float32):
        with torch.device("meta"):
            state = Inception(classes).state_dict()
        # one number, expanded: a file of the true shapes would have 95 MB
        return {key: torch.zeros((), dtype=dtype).expand(value.shape) for key, value in state.items()}

    def checkpoint(self, tensors):
        return usual.Checkpoint(Path("pt.pth"), "ab" * 32, 1, tensors)

    @pytest.mark.parametrize("classes", [1000, 1008])
    def test_a_state_dict_fits(self, classes):
        tensors = self.tensors(classes)
        tensors = {key: value for key, value in tensors.items() if "num_batches" not in key}
        net = filled(self.checkpoint({**tensors, "AuxLogits.fc.bias": torch.zeros(3)}))
        assert net.fc.out_features == classes and not net.training
        assert not any(value.is_meta for value in net.state_dict().values())

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"fc.bias": None}, r"it has no fc\.bias; 1 names differ"),
            ({"fc.bias": torch.zeros(10)}, "has 10 classes"),
            ({"extra": torch.zeros(1)}, "it has the unknown tensor extra"),
            ({"Mixed_7c.branch1x1.conv.weight": torch.zeros(2)}, r"1x1\.conv\.weight has the shape \(2,\)"),
        ],
    )
    def test_another_net_is_refused(self, change, words):
        tensors = {key: value for key, value in {**self.tensors(), **change}.items() if value is not None}
        with pytest.raises(WeightsError, match=words) as caught:
            filled(self.checkpoint(tensors))
        assert "\n" not in str(caught.value)

    def test_a_pickle_with_code_is_refused_and_not_run(self, tmp_path):
        path = tmp_path / "evil.pth"
        path.write_bytes(b"\x80\x02cposix\nsystem\n(X\x10\x00\x00\x00touch was-runxxxxq\x00tR.")
        with pytest.raises(WeightsError, match=r"evil\.pth"):
            inception_space(path)
        assert not (tmp_path / "was-run").exists()

    def test_a_request_reads_it_and_says_its_digest(self, tmp_path, monkeypatch, capsys):
        path = tmp_path / "pt_inception.safetensors"
        save_file({"w": torch.ones(2)}, path)
        seen = {}

        def small(found):
            seen["sha256"] = found.sha256
            return Small(classes=1008)

        monkeypatch.setattr(usual, "filled", small)
        train, test = (Images(pixels=images(40, seed).numpy(), name="made") for seed in (1, 2))
        asked = Request(features="inception", weights=str(path), metrics=("fid", "inception-score"))
        found = score_model(toys.gan(), train, test, asked, subject="toy")
        assert {one.metric for one in found} == {"fid", "inception-score"}
        assert {one.features for one in found} == {f"inception-2015-12-05@{seen['sha256'][:12]}"}
        assert f"sha256 {seen['sha256']}" in capsys.readouterr().err


class TestNet:
    def test_shapes(self):
        with torch.device("meta"):
            net = Inception().eval()
            features = net(torch.zeros(2, 1, 32, 32, dtype=torch.uint8))
            assert features.shape == (2, 2048) and net.logits(features).shape == (2, 1008)

    def test_images_are_resized_as_tensorflow_1_does(self):
        """Pixel i of the result is at i · H / side: no half pixels, and the last rows repeat the border."""
        x = torch.tensor([[0.0, 8.0], [4.0, 12.0]])[None, None]
        expected = [
            [0.0, 4.0, 8.0, 8.0],
            [2.0, 6.0, 10.0, 10.0],
            [4.0, 8.0, 12.0, 12.0],
            [4.0, 8.0, 12.0, 12.0],
        ]
        assert resized(x, 4)[0, 0].tolist() == expected
        assert torch.equal(resized(x.expand(1, 3, 2, 2), 2), x.expand(1, 3, 2, 2))
        assert resized(torch.arange(6.0).view(1, 1, 6, 1).expand(1, 1, 6, 6), 3)[0, 0, :, 0].tolist() == [
            0,
            2,
            4,
        ]

    def test_other_channels_are_refused(self):
        with pytest.raises(ArgumentError, match="1 or 3 channels, not 2"):
            SPACE.describe(torch.zeros(2, 2, 8, 8, dtype=torch.uint8), None)

    @pytest.mark.skipif(
        "GENZOO_INCEPTION" not in os.environ, reason="GENZOO_INCEPTION names no Inception file"
    )
    def test_the_file_of_the_user(self):
        """A local check with the true weights, against torch-fidelity if it is installed."""
        path, rng = os.environ["GENZOO_INCEPTION"], torch.Generator().manual_seed(0)
        space = inception_space(path)
        pixels = torch.randint(0, 256, (4, 3, 64, 64), generator=rng, dtype=torch.uint8)
        found = space.describe(pixels, None)
        assert found.shape == (4, 2048) and bool((found >= 0).all()) and space.usual
        reference = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
        theirs = reference.FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=path)
        assert torch.allclose(found.float(), theirs(pixels)[0], atol=1e-3)
