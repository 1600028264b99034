"""Tiny data sets in every form that open_data reads; the cache lies in the test's own folder."""

import gzip
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REAL = os.environ.get("GENZOO_DATA", "")  # read before the tests hide it


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Give every test an empty cache, and no data of the machine."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GENZOO_CACHE", str(cache))
    monkeypatch.delenv("GENZOO_DATA", raising=False)
    return cache


@pytest.fixture
def real_data(monkeypatch):
    """Give the folder of real data; only tests that were collected because there is one ask for it."""
    monkeypatch.setenv("GENZOO_DATA", REAL)
    return Path(REAL)


class Make:
    """Writers of tiny files."""

    def idx(self, array):
        """Return `array` as the bytes of an idx file."""
        return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()

    def encoded(self, pixels, form="PNG", **options):
        """Return an array (H, W[, 3]) or an Image as the bytes of a file."""
        buffer = io.BytesIO()
        (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, form, **options)
        return buffer.getvalue()

    def photo(self, width=20, height=16, seed=0):
        """Return a smooth colour picture (H, W, 3) that differs from seed to seed."""
        y, x = np.mgrid[:height, :width]
        waves = [127 + 120 * np.sin(x / 7 + seed + c) * np.cos(y / 5 + c * seed) for c in range(3)]
        return np.stack(waves, -1).astype(np.uint8)

    def end_to_end(self, files, key):
        """Return `files` as the arrays `key` and `offsets`."""
        offsets = np.cumsum([0, *map(len, files)]).astype(np.int64)
        return {key: np.frombuffer(b"".join(files), np.uint8), "offsets": offsets}

    def mosaic(self, images):
        """Return 1,000 images (1000, 32, 32, 3) as one lossless mosaic."""
        whole = images.reshape(100, 10, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(3200, 320, 3)
        return self.encoded(whole, "WEBP", lossless=True, method=0, quality=0)

    def mnist(self, root, name="mnist", count=12, compress=True):
        """Write the four files of MNIST with `count` training and 5 test images; return the arrays."""
        rng, written = np.random.default_rng(1), {}
        (root / name).mkdir(parents=True, exist_ok=True)
        for part, n in (("train", count), ("t10k", 5)):
            for kind, shape in (("images-idx3", (n, 28, 28)), ("labels-idx1", (n,))):
                array = rng.integers(0, 10, shape, dtype=np.uint8)
                data = self.idx(array)
                path = root / name / f"{part}-{kind}-ubyte{'.gz' * compress}"
                path.write_bytes(gzip.compress(data) if compress else data)
                written[f"{part}-{kind}"] = array
        return written


@pytest.fixture
def make():
    """Give the writers of tiny files."""
    return Make()


@pytest.fixture
def photos(tmp_path, make):
    """Give a folder of forty small PNGs, some of them nested."""
    folder = tmp_path / "photos"
    for i in range(40):
        path = folder / ("deep/er" if i % 3 else ".") / f"photo {i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make.encoded(make.photo(seed=i)))
    return folder
