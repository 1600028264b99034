"""What a client asks, checked: every value has a type, a range and a size before it reaches a model. None is
a path, and none is looked up as one.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genzoo.errors import ArgumentError, safe_repr
from genzoo_explorer import limits

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_SEED = 2**53 - 1  # the largest whole number that JavaScript holds exactly


class Ask:
    """One request: the object that its JSON holds."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Return whether a value was given."""
        return self._values.get(name) is not None

    def text(self, name: str, most: int = 64) -> str:
        """Return a text of 1 to `most` characters."""
        value = self._values.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise _wrong(name, f"a text of 1 to {most:,} characters", value)
        return value

    def flag(self, name: str) -> bool:
        """Return True or False, by default False."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise _wrong(name, "true or false", value)
        return value

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number from `low` to `high`."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(name, f"a whole number from {low} to {high}", value)
        return value

    def seed(self) -> int:
        """Return the seed."""
        return self.whole("seed", 0, LARGEST_SEED, 0)

    def number(self, name: str) -> float | None:
        """Return a finite number, or None where it is not given; the model checks its range."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise _wrong(name, "a number", value)
        return float(value)

    def condition(self) -> Any:
        """Return a label's number or a sentence, or None where none is given; the model checks it."""
        value = self._values.get("condition")
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        return self.text("condition", limits.TEXT)

    def vectors(self, name: str, size: int, most: int = limits.IMAGES) -> Tensor:
        """Return z, (N, size) float32, of at most `most` rows."""
        import torch

        rows = self._values.get(name)
        if not isinstance(rows, list) or not 0 < len(rows) <= most:
            raise _wrong(name, f"1 to {most} latent vectors", rows)
        for row in rows:
            if not isinstance(row, list) or len(row) != size or not all(map(_is_finite, row)):
                raise _wrong(name, f"latent vectors of {size} finite numbers", row)
        return torch.tensor(rows, dtype=torch.float32)

    def pixels(self, shape: tuple[int, int, int], name: str = "pixels") -> Tensor:
        """Return an image (1, C, H, W) in [0, 1], from the bytes of its pixels in base64, rows of pixels of C
        values.
        """
        import torch

        channels, height, width = shape
        values = torch.frombuffer(bytearray(self._bytes(name, channels * height * width)), dtype=torch.uint8)
        return values.view(1, height, width, channels).movedim(3, 1).float() / 255

    def mask(self, height: int, width: int) -> Tensor:
        """Return a mask (H, W), True where a byte is not 0."""
        import torch

        return (
            torch.frombuffer(bytearray(self._bytes("mask", height * width)), dtype=torch.uint8)
            .view(height, width)
            .bool()
        )

    def _bytes(self, name: str, size: int) -> bytes:
        try:
            found = base64.b64decode(self.text(name, 4 * (size // 3 + 1)), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ArgumentError(f"{name} must be {size:,} bytes in base64") from error
        if len(found) != size:
            raise ArgumentError(f"{name} must have {size:,} bytes, not {len(found):,}")
        return found


def _is_finite(value: object) -> bool:
    # beyond float32 it would become infinite
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


def _wrong(name: str, expected: str, value: object) -> ArgumentError:
    shown = type(value).__name__ if isinstance(value, (list, dict)) else safe_repr(value)[:60]
    return ArgumentError(f"{name} must be {expected}, not {shown}")
