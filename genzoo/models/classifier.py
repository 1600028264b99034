"""ClassifyingModel: a network that classifies images. It generates none and has no p(x); samples are measured
in its features.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from genzoo.card import Family
from genzoo.errors import CardError, NotGenerativeError
from genzoo.images import check_images
from genzoo.models.model import Model, in_chunks, public

CHUNK = 64  # images per pass of the network: an image has the same features alone and in any batch

_ABSENT = {
    "sample": "generates no images: it has learned p(class | x) but not p(x)",
    "log_prob": "has no likelihood: it has learned p(class | x) but not p(x)",
    "encode": "has features, but no code that an image could be decoded from",
    "decode": "has features, but no code that an image could be decoded from",
}
_ABSENT |= {"sample_batches": _ABSENT["sample"], "bits_per_dim": _ABSENT["log_prob"]}


class ClassifyingModel(Model):
    """A classifier: features of an image, and p(class | x) computed from them. It is an instrument, not part
    of the taxonomy of generative models.
    """

    # True: `_features` takes images of every size and brings them to its own
    any_size: ClassVar[bool] = False

    @classmethod
    def _place(cls) -> Family | None:
        return Family.CLASSIFIER

    def __getattr__(self, name: str) -> Any:
        """Raise an error that says why a classifier has no `sample`, `log_prob` or codes; called only for
        undefined attributes.
        """
        if name in _ABSENT:
            hint = "it has features(x) and log_probs(x); genzoo list --tree shows generative models"
            raise NotGenerativeError(f"{type(self).__name__} {_ABSENT[name]}", hint)
        return super().__getattr__(name)

    @property
    @abstractmethod
    def classes(self) -> int:
        """The number of classes that it distinguishes."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, or () where classes have only numbers."""
        return ()

    @public
    def features(self, x: Any) -> Tensor:
        """Return the features (N, F) float32 of images (N, C, H, W) in [0, 1].

        The same image has the same features, alone or in a batch.

        Raises:
            ArgumentError: images of a wrong shape, type or range.
        """
        images = check_images(x, None if self.any_size else self.image_shape).to(self.device)
        with self.asking() as model:
            found = in_chunks(model._features, CHUNK, images).float()
        if found.ndim != 2:
            raise CardError(
                f"{type(self).__name__}._features returned the shape {tuple(found.shape)}, not (N, F)"
            )
        return found

    @public
    def log_probs(self, x: Any) -> Tensor:
        """Return log p(class | x), (N, K) float32 with K = `classes`, of images (N, C, H, W) in [0, 1].

        Raises:
            ArgumentError: images of a wrong shape, type or range.
        """
        features = self.features(x)
        with self.asking() as model:
            logits = in_chunks(model._logits, CHUNK, features).float()
        if tuple(logits.shape) != (len(features), self.classes):
            raise CardError(
                f"{type(self).__name__}._logits returned the shape {tuple(logits.shape)}, not (N, "
                f"{self.classes})"
            )
        return logits.log_softmax(1)

    @abstractmethod
    def _features(self, x: Tensor) -> Tensor:
        """Return the features (N, F) of checked images; differentiable."""

    @abstractmethod
    def _logits(self, features: Tensor) -> Tensor:
        """Return the logits (N, K) of features (N, F); differentiable."""
