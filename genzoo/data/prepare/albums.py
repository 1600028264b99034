"""Where photographs are taken from: a folder of files of any nesting, or what `open_data` reads."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from genzoo.data.collection import Images
from genzoo.data.decode import Skip, faults, open_image, room
from genzoo.data.formats import SUFFIXES
from genzoo.data.listing import list_files
from genzoo.data.prepare.made import existing
from genzoo.files import read_capped

JPEG_CAP = 1 << 16  # bytes of a file that is kept as it is: a small photograph has a few thousand


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

    def jpeg(self, number: int, side: int) -> bytes:
        """Return the file of a photograph if it is a JPEG file of `side` x `side` pixels, else b""."""
        return b""


class AlbumFolder(Album):
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

    def jpeg(self, number: int, side: int) -> bytes:
        """Return file `number` if it is a JPEG file of this size."""
        path = self.folder / self.names[number]
        with faults(), open_image(path) as image:
            fits = (image.format, image.mode, image.size) == ("JPEG", "RGB", (side, side))
        return read_capped(path, JPEG_CAP) if fits and path.stat().st_size <= JPEG_CAP else b""


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


class Half(Album):
    """The left or the right halves of the pictures of another album, which are twice as wide as high."""

    def __init__(self, album: Album, right: bool) -> None:
        self.album, self.right = album, right

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.album)

    def path(self, number: int) -> str:
        """Return the path of the whole picture."""
        return self.album.path(number)

    def image(self, number: int) -> Image.Image:
        """Return half of picture `number`.

        Raises:
            Skip: it cannot be read, or has another shape.
        """
        whole = self.album.image(number)
        width, height = whole.size
        if width != 2 * height:
            raise Skip("not twice as wide as high")
        return whole.crop((height, 0, width, height) if self.right else (0, 0, height, height))


def albums(name: str, sources: Sequence[str], side: int, width: int = 0) -> list[Album]:
    """Return an album for each of `sources`; those that are no folders are opened at `side` pixels high and
    `width` wide, by default as wide as high.

    Raises:
        DataError: a source that cannot be read.
    """
    from genzoo.data.opening import open_data  # which opens named sets too: a circle otherwise

    found: list[Album] = []
    for source in sources:
        if ":" not in source and os.path.isdir(path := existing(name)(source)):
            found.append(AlbumFolder(path))
        else:
            shape = (3, side, width or side)
            found.append(Opened(open_data(source, image_shape=shape, val_split=0, cache=False)))
    return found
