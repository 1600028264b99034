"""Where photographs are taken from: a folder of files of any nesting, or what `open_data` reads."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from genzoo.data.collection import Images
from genzoo.data.decode import faults, open_image, room
from genzoo.data.formats import SUFFIXES
from genzoo.data.listing import list_files
from genzoo.data.prepare.made import existing


class Album(ABC):
    """Photographs by number."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many there are."""

    @abstractmethod
    def path(self, number: int) -> str:
        """Return the path of a photograph, as `Person/Person_0001.jpg`."""

    @abstractmethod
    def image(self, number: int) -> Image.Image:
        """Return a photograph in RGB.

        Raises:
            Skip: it cannot be read.
        """


class Folder(Album):
    """The image files in a folder and its folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = [name for name, _ in list_files(folder).files if Path(name).suffix.lower() in SUFFIXES]

    def __len__(self) -> int:
        """Return the number of files with the suffix of an image."""
        return len(self.names)

    def path(self, number: int) -> str:
        """Return the path inside the folder."""
        return self.names[number]

    def image(self, number: int) -> Image.Image:
        """Return the photograph in file `number`."""
        with faults(), open_image(self.folder / self.names[number]) as image, room(image):
            plain: Image.Image = image.convert("RGB")
            return plain


class Opened(Album):
    """Images that `open_data` has read."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def path(self, number: int) -> str:
        """Return the name of the set and the number."""
        return f"{self.images.name}/{number:08d}"

    def image(self, number: int) -> Image.Image:
        """Return image `number`."""
        return Image.fromarray(self.images.pixels[number].transpose(1, 2, 0))


def albums(name: str, sources: Sequence[str], side: int) -> list[Album]:
    """Return an album for each of `sources`; those that are no folders are opened at `side` x `side` pixels.

    Raises:
        DataError: a source that cannot be read.
    """
    from genzoo.data.opening import open_data  # which opens named sets too: a circle otherwise

    found: list[Album] = []
    for source in sources:
        if ":" not in source and os.path.isdir(path := existing(name)(source)):
            found.append(Folder(path))
        else:
            found.append(Opened(open_data(source, image_shape=(3, side, side), val_split=0, cache=False)))
    return found
