"""The network of the usual FID and Inception score: Inception v3 as TensorFlow's graph of 2015-12-05 has it,
with the names that its state dict has in pytorch-fid and torch-fidelity (Szegedy et al. 2015,
arXiv:1512.00567; Heusel et al. 2017, arXiv:1706.08500).

Only the layers are here; the weights are the user's own file. It differs from the network of the paper as the
graph does: pooling leaves the padding out of its means, the last block takes maxima, batch norm has ε 0.001.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 299  # pixels that the network sees
POOL = 2048  # features of the last pooling
CLASSES = 1008  # outputs of the graph; 1,000 of them are classes of ImageNet
EPS = 1e-3


class Conv(nn.Module):
    """Convolution without bias, batch norm with running statistics, ReLU."""

    def __init__(
        self, taken: int, given: int, kernel: tuple[int, int], stride: int = 1, pad: bool = False
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if pad else (0, 0)
        self.conv = nn.Conv2d(taken, given, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(given, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:  # (N, taken, H, W)
        """Return the maps of the layer."""
        return F.relu(self.bn(self.conv(x)))


def _same(taken: int, given: int, high: int, wide: int) -> Conv:
    """Return a convolution that keeps height and width."""
    return Conv(taken, given, (high, wide), pad=True)


def _mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class MixedA(nn.Module):
    """Branches of 1x1, 5x5 and two 3x3 at 35x35."""

    def __init__(self, taken: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = _same(taken, 64, 1, 1)
        self.branch5x5_1 = _same(taken, 48, 1, 1)
        self.branch5x5_2 = _same(48, 64, 5, 5)
        self.branch3x3dbl_1 = _same(taken, 64, 1, 1)
        self.branch3x3dbl_2 = _same(64, 96, 3, 3)
        self.branch3x3dbl_3 = _same(96, 96, 3, 3)
        self.branch_pool = _same(taken, pooled, 1, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, taken, 35, 35)
        """Return the maps of the layer."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(_mean(x))], 1)


class MixedB(nn.Module):
    """From 35x35 to 17x17."""

    def __init__(self, taken: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(taken, 384, (3, 3), 2)
        self.branch3x3dbl_1 = _same(taken, 64, 1, 1)
        self.branch3x3dbl_2 = _same(64, 96, 3, 3)
        self.branch3x3dbl_3 = Conv(96, 96, (3, 3), 2)

    def forward(self, x: Tensor) -> Tensor:  # (N, taken, 35, 35)
        """Return the maps of the layer."""
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), three, F.max_pool2d(x, 3, 2)], 1)


class MixedC(nn.Module):
    """Branches of 7x7 as 1x7 and 7x1, once and twice, at 17x17."""

    def __init__(self, taken: int, mid: int) -> None:
        super().__init__()
        self.branch1x1 = _same(taken, 192, 1, 1)
        self.branch7x7_1 = _same(taken, mid, 1, 1)
        self.branch7x7_2 = _same(mid, mid, 1, 7)
        self.branch7x7_3 = _same(mid, 192, 7, 1)
        self.branch7x7dbl_1 = _same(taken, mid, 1, 1)
        self.branch7x7dbl_2 = _same(mid, mid, 7, 1)
        self.branch7x7dbl_3 = _same(mid, mid, 1, 7)
        self.branch7x7dbl_4 = _same(mid, mid, 7, 1)
        self.branch7x7dbl_5 = _same(mid, 192, 1, 7)
        self.branch_pool = _same(taken, 192, 1, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, taken, 17, 17)
        """Return the maps of the layer."""
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(_mean(x))], 1)


class MixedD(nn.Module):
    """From 17x17 to 8x8."""

    def __init__(self, taken: int) -> None:
        super().__init__()
        self.branch3x3_1 = _same(taken, 192, 1, 1)
        self.branch3x3_2 = Conv(192, 320, (3, 3), 2)
        self.branch7x7x3_1 = _same(taken, 192, 1, 1)
        self.branch7x7x3_2 = _same(192, 192, 1, 7)
        self.branch7x7x3_3 = _same(192, 192, 7, 1)
        self.branch7x7x3_4 = Conv(192, 192, (3, 3), 2)

    def forward(self, x: Tensor) -> Tensor:  # (N, taken, 17, 17)
        """Return the maps of the layer."""
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        three = self.branch3x3_2(self.branch3x3_1(x))
        return torch.cat([three, self.branch7x7x3_4(seven), F.max_pool2d(x, 3, 2)], 1)


class MixedE(nn.Module):
    """Branches that end in 1x3 beside 3x1, at 8x8; `maxima` are pooled in the last block, means before it."""

    def __init__(self, taken: int, maxima: bool) -> None:
        super().__init__()
        self.maxima = maxima
        self.branch1x1 = _same(taken, 320, 1, 1)
        self.branch3x3_1 = _same(taken, 384, 1, 1)
        self.branch3x3_2a = _same(384, 384, 1, 3)
        self.branch3x3_2b = _same(384, 384, 3, 1)
        self.branch3x3dbl_1 = _same(taken, 448, 1, 1)
        self.branch3x3dbl_2 = _same(448, 384, 3, 3)
        self.branch3x3dbl_3a = _same(384, 384, 1, 3)
        self.branch3x3dbl_3b = _same(384, 384, 3, 1)
        self.branch_pool = _same(taken, 192, 1, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, taken, 8, 8)
        """Return the maps of the layer."""
        one = self.branch3x3_1(x)
        two = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        wide = [self.branch3x3_2a(one), self.branch3x3_2b(one)]
        deep = [self.branch3x3dbl_3a(two), self.branch3x3dbl_3b(two)]
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.maxima else _mean(x)
        return torch.cat([self.branch1x1(x), *wide, *deep, self.branch_pool(pooled)], 1)


class Inception(nn.Module):
    """The network, from pixels to features and class scores."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, (3, 3), 2)
        self.Conv2d_2a_3x3 = Conv(32, 32, (3, 3))
        self.Conv2d_2b_3x3 = _same(32, 64, 3, 3)
        self.Conv2d_3b_1x1 = Conv(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = Conv(80, 192, (3, 3))
        self.Mixed_5b = MixedA(192, 32)
        self.Mixed_5c = MixedA(256, 64)
        self.Mixed_5d = MixedA(288, 64)
        self.Mixed_6a = MixedB(288)
        self.Mixed_6b = MixedC(768, 128)
        self.Mixed_6c = MixedC(768, 160)
        self.Mixed_6d = MixedC(768, 160)
        self.Mixed_6e = MixedC(768, 192)
        self.Mixed_7a = MixedD(768)
        self.Mixed_7b = MixedE(1280, maxima=False)
        self.Mixed_7c = MixedE(POOL, maxima=True)
        self.fc = nn.Linear(POOL, classes)

    def forward(self, images: Tensor) -> Tensor:  # (N, 1 or 3, H, W) uint8
        """Return the features of the last pooling, (N, 2048)."""
        x = resized(images.float().expand(-1, 3, -1, -1))
        x = (x - 128) / 128  # as the graph scales its input
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # (N, 64, 147, 147)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))  # (N, 192, 71, 71)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))  # (N, 288, 35, 35)
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))  # (N, 768, 17, 17)
        x = self.Mixed_7a(self.Mixed_6e(self.Mixed_6d(x)))  # (N, 1280, 8, 8)
        features: Tensor = self.Mixed_7c(self.Mixed_7b(x)).mean((2, 3))
        return features

    def logits(self, features: Tensor) -> Tensor:  # (N, 2048)
        """Return the scores of the classes without their bias, as the Inception score takes them."""
        return features @ self.fc.weight.T  # (N, classes)


def resized(x: Tensor, side: int = SIDE) -> Tensor:
    """Return images (N, C, H, W) at `side` x `side`, interpolated linearly as TensorFlow 1 does: pixel i of
    the result is at i · H / side of the image, not at the centre of its square.
    """
    for axis in (2, 3):
        size = x.shape[axis]
        place = torch.arange(side, dtype=torch.float32, device=x.device) * (size / side)  # (side,)
        low = place.long().clamp(max=size - 1)
        high = (low + 1).clamp(max=size - 1)
        share = (place - low).view(-1, 1) if axis == 2 else place - low
        x = x.index_select(axis, low) * (1 - share) + x.index_select(axis, high) * share
    return x
