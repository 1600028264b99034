"""Where the files of the named data sets come from: what to get, where it is public, and what stands in for
it. Facts only: `genzoo.data.prepare` makes the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from genzoo.datasets import NAMES


@dataclass(frozen=True)
class Home:
    """The public home of a data set.

    Attributes:
        wanted: what has to be got, in words.
        places: where it is public.
        typed: what is typed after --from, as an example.
        writes: the files that are made of it, relative to GENZOO_DATA.
        stand_in: a data set in the package that can be used in its place to look at a command's output, ""
            for none; a score measured on it says nothing about the model.
    """

    wanted: str
    places: tuple[str, ...]
    typed: tuple[str, ...]
    writes: tuple[str, ...]
    stand_in: str = ""

    def command(self, name: str, out: str = "data") -> str:
        """Return the command that makes the files of the data set `name` in the folder `out`."""
        sources = " ".join(f"--from {source}" for source in self.typed)
        return f"genzoo data prepare {name} {sources} --out {out}"

    def advice(self, name: str) -> str:
        """Return one line on what to get, where, and what to type then."""
        where = f"get {self.wanted} from {' and '.join(self.places)}"
        line = f"{where}, then: {self.command(name)} and set GENZOO_DATA=data"
        return f"{line}; or use a stand-in: --data {self.stand_in}" if self.stand_in else line


_PLACES365 = "https://github.com/SilviuBR24/room-classification (commit 0eca0b20)"

# data set -> its home; those that are made together with another one are in MADE_WITH
HOMES: Mapping[str, Home] = MappingProxyType(
    {
        "mnist": Home(
            "the four idx files of MNIST",
            ("https://storage.googleapis.com/cvdf-datasets/mnist",),
            ("mnist/",),
            NAMES["mnist"].files,
            "digits",
        ),
        "fashion-mnist": Home(
            "the four idx files of Fashion-MNIST",
            ("https://github.com/zalandoresearch/fashion-mnist",),
            ("fashion/",),
            NAMES["fashion-mnist"].files,
            "digits",
        ),
        "binarized-mnist": Home(
            "binarized_mnist_{train,valid,test}.amat",
            ("https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist",),
            ("binarized/",),
            NAMES["binarized-mnist"].files,
            "binarized-digits",
        ),
        "cifar10": Home(
            "cifar-10-binary.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar.html",),
            ("cifar-10-binary.tar.gz",),
            NAMES["cifar10"].files,
        ),
        "frey": Home(
            "frey_rawface.mat",
            ("https://cs.nyu.edu/~roweis/data.html",),
            ("frey_rawface.mat",),
            NAMES["frey"].files,
        ),
        "faces": Home(
            "the folder lfw-deepfunneled (with feature_embeddings_lfw beside it for the attributes)",
            ("https://github.com/SnorreW/FacialAttributes_Snorre (commit f6cb0112)",),
            ("FacialAttributes_Snorre/",),
            NAMES["faces"].files,
        ),
        "bedrooms": Home(
            "the photographs",
            (_PLACES365, "https://github.com/emanhamed/Houses-dataset (commit 5e148219)"),
            ("room-classification/dataset", "Houses-dataset/"),
            NAMES["bedrooms"].files,
        ),
        "rooms": Home(
            "the photographs", (_PLACES365,), ("room-classification/dataset",), NAMES["rooms"].files[1:]
        ),
        "facades": Home(
            "the folders train and test, with photograph and map side by side,",
            (
                "https://github.com/phillipi/pix2pix (its download_dataset.sh facades) or "
                "https://github.com/ariana-h/CS_548_12_huhkoa2 (commit b45af2a)",
            ),
            ("facades/",),
            NAMES["facades"].files,
        ),
        "horse2zebra": Home(
            "the folders trainA, trainB, testA and testB",
            (
                "https://github.com/junyanz/CycleGAN (its download_dataset.sh horse2zebra) or "
                "https://github.com/RajithaSampathV/CycleGAN-implementation (commit 7dd5fc9)",
            ),
            ("horse2zebra/",),
            NAMES["horse2zebra"].files,
        ),
        "flowers102": Home(
            "the photographs image_00001.jpg to image_08189.jpg",
            (
                "https://github.com/Shmaltalk/colorization-tf (commit de236b5) or "
                "https://www.robots.ox.ac.uk/~vgg/data/flowers/102",
            ),
            ("colorization-tf/",),
            NAMES["flowers102"].files,
        ),
    }
)
MADE_WITH: Mapping[str, str] = MappingProxyType(
    {"dynamic-binarized-mnist": "mnist", "flowers-unseen": "flowers102", "horses-zebras": "horse2zebra"}
)
EMBEDDED = ("digits", "binarized-digits")  # ship with the package


def maker_of(file: str) -> str:
    """Return the data set whose preparation writes `file`, "" where nothing here does."""
    return next((name for name, home in HOMES.items() if file in home.writes), "")
