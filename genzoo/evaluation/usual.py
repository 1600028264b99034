"""The space of the usual FID and Inception score: the user's own Inception file, read by the confined reader
(rule R3). It is the one space in which a Fréchet distance is called the FID without more words.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from genzoo.confined.reading import Checkpoint, read_checkpoint
from genzoo.errors import ArgumentError, WeightsError, safe_text
from genzoo.evaluation.inception import CLASSES, Inception
from genzoo.evaluation.inputs import Progress, as_pixels, counted
from genzoo.evaluation.spaces import DIGITS, FeatureSpace
from genzoo.process import neutral
from genzoo.request import INCEPTION
from genzoo.sharing import each
from genzoo.show import tell

NAME = INCEPTION
USUAL = "inception-2015-12-05"  # what the features are called if the file has the classes of that graph
SPLITS = 10  # of the Inception score (Salimans et al. 2016)
CHUNK = 32  # images at a time
_SKIPPED = ("AuxLogits.", "num_batches_tracked")  # in some files, and not used


class Score(NamedTuple):
    """The Inception score: mean and standard deviation over its splits."""

    mean: float
    spread: float


def inception_space(weights: str | os.PathLike[str], device: torch.device | str = "cpu") -> FeatureSpace:
    """Return the 2,048 features and the class scores of the Inception net in the file `weights`: a state dict
    with the names of pytorch-fid and torch-fidelity, such as pt_inception-2015-12-05-6726825d.pth, or the
    same as safetensors. Its sha256 is printed.

    Raises:
        StorageError: the file cannot be read.
        WeightsError: it is no state dict, is damaged, names code, or belongs to another net.
    """
    found = read_checkpoint(Path(weights).expanduser())
    net = filled(found).to(device)
    usual = net.fc.out_features == CLASSES
    tell(f"{NAME}: {found.path}, sha256 {found.sha256}", level="INFO")
    return space_of_net(net, f"{USUAL if usual else NAME}@{found.sha256[:DIGITS]}", usual)


def filled(found: Checkpoint) -> Inception:
    """Return the network with the tensors of the file, in evaluation mode.

    Raises:
        WeightsError: a tensor is missing, too many, or of another shape; the message names the first.
    """
    tensors = {key: value for key, value in found.tensors.items() if not any(s in key for s in _SKIPPED)}
    classes = len(tensors["fc.bias"]) if "fc.bias" in tensors and tensors["fc.bias"].ndim else CLASSES
    if classes not in (1000, CLASSES):
        raise WeightsError(f"{found.path} has {classes} classes, and an Inception v3 has 1,008 or 1,000")
    with torch.device("meta"):
        net = Inception(classes)
    wanted = {key: value for key, value in net.state_dict().items() if "num_batches" not in key}
    _check_layout(found.path, tensors, wanted)
    for key, value in net.state_dict().items():
        if key not in tensors:
            tensors[key] = torch.zeros((), dtype=value.dtype)
    net.load_state_dict(tensors, assign=True)
    return net.eval().requires_grad_(False)


def _check_layout(path: Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    hint = "give the Inception file of pytorch-fid or torch-fidelity: pt_inception-2015-12-05-6726825d.pth"
    odd = sorted(set(tensors) ^ set(wanted))
    if odd:
        what = "has no" if odd[0] in wanted else "has the unknown tensor"
        raise WeightsError(
            f"{path} is no Inception v3: it {what} {safe_text(odd[0], 100)}; {len(odd)} names differ", hint
        )
    for key, value in wanted.items():
        if tensors[key].shape != value.shape:
            shapes = f"{tuple(tensors[key].shape)}, not {tuple(value.shape)}"
            raise WeightsError(f"{path} is no Inception v3: {key} has the shape {shapes}", hint)


def space_of_net(net: Inception, name: str, usual: bool) -> FeatureSpace:
    """Return the space of the net's features under `name`; `usual` if a distance in it is the usual FID.

    A net is any module that maps uint8 images (N, C, H, W) to features and whose `logits` maps those to class
    scores.
    """

    @neutral()
    def describe(images: Tensor, progress: Progress | None = None) -> Tensor:
        pixels = as_pixels(images)
        if pixels.shape[1] not in (1, 3):
            raise ArgumentError(
                f"an Inception net sees images of 1 or 3 channels, not {pixels.shape[1]}",
                "--features gist suits every shape",
            )
        weight = next(net.parameters())
        done = counted(progress, "features", CHUNK, len(pixels))
        with torch.inference_mode():
            found = each(pixels.split(CHUNK), lambda chunk: net(chunk.to(weight.device)).cpu(), done)
            return torch.cat(found).double()

    def logits(features: Tensor) -> Tensor:
        weight = next(net.parameters())
        with torch.inference_mode():
            return net.logits(features.to(weight.device, weight.dtype)).double().cpu()

    where = next(net.parameters()).device.type
    return FeatureSpace(name=name, describe=describe, logits=logits, usual=usual, device=where)


@neutral()
def inception_score(logits: Tensor, splits: int = SPLITS) -> Score:
    """Return exp(E[KL(p(y|x) || p(y))]) of class scores (N, K), as mean and standard deviation over `splits`
    equal parts of the rows, whose sizes differ by at most 1 (Salimans et al. 2016, arXiv:1606.03498).

    Raises:
        ArgumentError: fewer rows than splits.
    """
    if len(logits) < 2 * splits:
        raise ArgumentError(
            f"the Inception score needs at least {2 * splits} images, not {len(logits)}", "take more images"
        )
    scores = []
    for part in logits.double().log_softmax(1).tensor_split(splits):
        marginal = part.exp().mean(0).log()  # (K,)
        scores.append(float((part.exp() * (part - marginal)).sum(1).mean().exp()))
    spread = torch.tensor(scores, dtype=torch.float64).std()
    return Score(sum(scores) / len(scores), float(spread))
