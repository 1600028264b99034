"""Images from torch's data sets, and as one: `torch.utils.data`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from genzoo.data.arrays import standard
from genzoo.data.collection import Images
from genzoo.errors import DataError

IMAGE, LABEL = ("image", "images", "img", "pixel_values", "x"), ("label", "labels", "target", "y")


def is_torch_set(data: object) -> bool:
    """Return whether `data` is a torch Dataset or DataLoader."""
    return isinstance(data, (Dataset, DataLoader)) and not isinstance(data, Images)


def from_torch(data: Any) -> Images:
    """Return the images of a torch Dataset or DataLoader, each read once, with their labels.

    An item (a batch, of a loader) is an image, a tuple that starts with the image and its label, or a mapping
    with "image" and "label". Images are uint8 or float in [0, 1], (C, H, W) or (H, W), tensors, arrays or PIL
    pictures; labels are whole numbers. Random transforms of the set are applied once: training mirrors and
    shifts by keys of the recipe.

    Raises:
        DataError: an item that is none of these, images of different shapes, or none at all.
    """
    pixels: list[Any] = []
    labels: list[int] = []
    for image, label in _items(data):
        pixels.append(image)
        labels += [] if label is None else [label]
    if not pixels:
        raise DataError(f"the {type(data).__name__} has no images", "it must give at least one")
    if len({image.shape for image in pixels}) > 1:
        first, other = (next(i.shape for i in pixels if i.shape != s) for s in (None, pixels[0].shape))
        raise DataError(
            f"the {type(data).__name__} gives images of different shapes, {first} and {other}",
            "resize them to one in its transform",
        )
    if labels and len(labels) != len(pixels):
        raise DataError(f"the {type(data).__name__} gives labels for some images only", "give all or none")
    facts = {"source": f"a torch {type(data).__name__}", "terms": "those of the images"}
    names = getattr(getattr(data, "dataset", data), "classes", None)
    known = tuple(map(str, names)) if labels and isinstance(names, (list, tuple)) else ()
    return Images(
        pixels=standard(np.stack(pixels), "data"),
        name=type(getattr(data, "dataset", data)).__name__,
        labels=np.array(labels, np.int64) if labels else None,
        class_names=known,
        facts=facts,
    )


def _items(data: Any) -> Iterator[tuple[Any, int | None]]:
    """Yield (image, label) one by one."""
    batched = isinstance(data, DataLoader) and data.batch_size is not None
    sized = hasattr(data, "__len__") and not isinstance(data, DataLoader)
    for item in (data[i] for i in range(len(data))) if sized else data:
        image, label = _parts(item)
        pixels, classes = _array(image), _classes(label, int(batched))
        if batched:
            labels: Sequence[int | None] = classes or [None] * len(pixels)
            yield from zip(pixels, labels, strict=True)
        else:
            yield pixels, classes[0] if classes else None


def _parts(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image, label = (next((item[key] for key in keys if key in item), None) for keys in (IMAGE, LABEL))
        return image, label
    if isinstance(item, (tuple, list)):
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _classes(label: Any, axes: int) -> list[int]:
    """Return the classes in `label`, none if it holds something else: attributes, boxes, captions, None."""
    array = label.cpu().numpy() if isinstance(label, Tensor) else np.asarray(label)
    return (
        [int(number) for number in np.atleast_1d(array)]
        if array.dtype.kind in "iu" and array.ndim == axes
        else []
    )


def _array(image: Any) -> Any:
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        return (image.float() if image.is_floating_point() else image).numpy()
    array = np.asarray(image)
    if array.dtype == object or array.ndim < 2:
        raise DataError(
            f"an item of the data holds {type(image).__name__}, not an image",
            "an item is an image, (image, label), or a mapping with image and label",
        )
    return array


class ImageDataset(Dataset[Any]):
    """`Images` as a torch Dataset; see `as_dataset`."""

    def __init__(self, images: Images, transform: Callable[[Tensor], Any] | None = None) -> None:
        self.images, self.transform = images, transform
        self.classes = list(images.class_names)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        place = range(len(self))[index]  # negative indices, and IndexError at the end
        image: Any = self.images.float([place])[0]
        image = image if self.transform is None else self.transform(image)
        return image if self.images.labels is None else (image, int(self.images.labels[place]))


def as_dataset(images: Images, transform: Callable[[Tensor], Any] | None = None) -> ImageDataset:
    """Return `images` as a torch Dataset for anyone's training code: item i is the image (C, H, W) float32 in
    [0, 1], or (image, label) if there are labels; `classes` names them. `transform` is applied to the image.
    """
    return ImageDataset(images, transform)
