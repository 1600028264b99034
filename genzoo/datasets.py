"""The data sets that genzoo knows by name: where their files are, where they come from, and what may be done
with them. Facts only: `genzoo.data` reads the images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

FRAMES = 25  # of a film that stay together: neighbours are nearly equal
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class File:
    """A file of a public data set: where it may be had, and what it must be."""

    name: str
    size: int
    sha256: str
    homes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set with a name: its files under GENZOO_DATA, its public home, its facts."""

    files: tuple[str, ...]
    source: str
    terms: str
    note: str = ""
    homes: Mapping[str, File] = field(default_factory=dict)
    grouped: str = ""  # what is never cut by a split, where there is no official one: "person" or "block"
    halves: str = ""  # of a set of pairs: the array that the images are made from
    domains: tuple[str, ...] = ()  # the names of the two domains of an unpaired set
    sides: str = ""  # the array of its file that says the published split of each image
    classes: tuple[str, ...] = ()
    legend: Mapping[str, str] = field(default_factory=dict)  # of label maps: what a colour, RGB in hex, means

    @property
    def facts(self) -> dict[str, str]:
        """Return source, terms and note, one line each."""
        facts = {"source": self.source, "terms": self.terms, "note": self.note}
        return {key: text for key, text in facts.items() if text}


def _idx_homes(folders: tuple[str, ...], sizes: tuple[int, ...], digests: tuple[str, ...]) -> dict[str, File]:
    names = [f"{file}.gz" for file in IDX_FILES]
    return {
        name: File(name, size, sha256, tuple(f"{folder}/{name}" for folder in folders))
        for name, size, sha256 in zip(names, sizes, digests, strict=True)
    }


_MNIST = _idx_homes(
    ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
    (9_912_422, 28_881, 1_648_877, 4_542),
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
_FASHION = _idx_homes(
    ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",),
    (26_421_880, 29_515, 4_422_102, 5_148),
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)
_CIFAR = File(
    "cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
)


def _names(text: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in text.split(","))


_NUMERALS = tuple("0123456789")
_GARMENTS = _names("T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot")
_OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# what the colours of the maps of facades mean, in the order of the published labels
_PARTS = """
    background 0000dc, wall 0032ff, window 0080ff, door 00d0ff, cornice 23ffdc, sill 73ff8c, balcony c0ff40,
    shutter fff000, decoration ffa000, moulding ff5200, pillar f00a00, shop ac0000
"""
_ROOMS = ("bedroom", "dining room", "kitchen", "living room")
# the 102 names of Nilsback and Zisserman, in the order of their labels
_FLOWER_NAMES = """
    pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold,
    tiger lily, moon orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot,
    king protea, spear thistle, yellow iris, globe-flower, purple coneflower, peruvian lily,
    balloon flower, giant white arum lily, fire lily, pincushion flower, fritillary, red ginger,
    grape hyacinth, corn poppy, prince of wales feathers, stemless gentian, artichoke, sweet william,
    carnation, garden phlox, love in the mist, mexican aster, alpine sea holly, ruby-lipped cattleya,
    cape flower, great masterwort, siam tulip, lenten rose, barbeton daisy, daffodil, sword lily,
    poinsettia, bolero deep blue, wallflower, marigold, buttercup, oxeye daisy, common dandelion,
    petunia, wild pansy, primula, sunflower, pelargonium, bishop of llandaff, gaura, geranium,
    orange dahlia, pink-yellow dahlia, cautleya spicata, japanese anemone, black-eyed susan,
    silverbush, californian poppy, osteospermum, spring crocus, bearded iris, windflower, tree poppy,
    gazania, azalea, water lily, rose, thorn apple, morning glory, passion flower, lotus, toad lily,
    anthurium, frangipani, clematis, hibiscus, columbine, desert-rose, tree mallow, magnolia,
    cyclamen, watercress, canna lily, hippeastrum, bee balm, ball moss, foxglove, bougainvillea,
    camellia, mallow, mexican petunia, bromelia, blanket flower, trumpet creeper, blackberry lily
"""

_HORSES = ("horse", "zebra")
_FLOWERS = _names(_FLOWER_NAMES)
_FLOWERS_SOURCE = "Oxford Flowers-102 (Nilsback and Zisserman 2008) at 64x64"
_RESEARCH = "research use; the copyright of the images belongs to their owners; do not publish them"
_TEMPLATES = "Captions are templates, made of class names and measured colours"
# (colour, kind of flower): combinations that flowers-unseen keeps out of training. Chosen once among those of
# at least 12 images and at most 40 % of their kind, of which the colour is not the most frequent one.
_UNSEEN = """
    blue: balloon flower; orange: californian poppy, rose; pink: magnolia, ruby-lipped cattleya;
    purple: passion flower; red: peruvian lily, rose, wallflower;
    white: clematis, foxglove, lotus, sweet pea, water lily; yellow: canna lily
"""
UNSEEN = frozenset(
    (group.split(":")[0].strip(), flower.strip())
    for group in _UNSEEN.split(";")
    for flower in group.split(":")[1].split(",")
)

NAMES: Mapping[str, Dataset] = MappingProxyType(
    {
        "digits": Dataset(
            files=(),
            source=(
                "Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, UCI 1998), the 1,797 "
                "scans of scikit-learn"
            ),
            terms="CC BY 4.0 (UCI); scikit-learn's copy: BSD",
            classes=_NUMERALS,
        ),
        "mnist": Dataset(
            files=tuple(f"mnist/{name}" for name in _MNIST),
            source="MNIST handwritten digits (LeCun, Cortes, Burges)",
            terms="no licence stated by the authors; free to use in research",
            homes=_MNIST,
            classes=_NUMERALS,
        ),
        "fashion-mnist": Dataset(
            files=tuple(f"fashion-mnist/{name}" for name in _FASHION),
            source="Fashion-MNIST (Xiao, Rasul, Vollgraf 2017)",
            terms="MIT License, Zalando SE",
            homes=_FASHION,
            classes=_GARMENTS,
        ),
        "binarized-mnist": Dataset(
            files=("binarized_mnist.npz",),
            source="MNIST, binarised once (Larochelle and Murray 2011; Salakhutdinov and Murray 2008)",
            terms="MNIST: no licence stated by the authors; this copy: MIT License (Yin, Zhou 2018)",
            note="the official split of 50,000, 10,000 and 10,000; the test images are sorted by class",
            classes=_NUMERALS,
        ),
        "dynamic-binarized-mnist": Dataset(
            files=tuple(f"mnist/{name}" for name in _MNIST),
            source=(
                "MNIST, binarised dynamically: each pixel is white with the probability that its grey "
                "level says"
            ),
            terms="no licence stated by the authors; free to use in research",
            note="test: one draw with a fixed seed; training draws new ones for every batch",
            homes=_MNIST,
            classes=_NUMERALS,
        ),
        "binarized-digits": Dataset(
            files=(),
            source="Optical Recognition of Handwritten Digits (see digits), binarised once with a fixed seed",
            terms="CC BY 4.0 (UCI); scikit-learn's copy: BSD",
            classes=_NUMERALS,
        ),
        "cifar10": Dataset(
            files=(*(f"cifar10_train_{i}.npz" for i in range(1, 6)), "cifar10_test.npz"),
            source="CIFAR-10 (Krizhevsky 2009)",
            terms="no licence stated; cite the technical report",
            note=(
                "test: the official 10,000 images, or the first 1,000 of them where the files hold no more "
                "lossless ones; published figures are those of the first 1,000"
            ),
            homes={_CIFAR.name: _CIFAR},
            classes=_OBJECTS,
        ),
        "bedrooms": Dataset(
            files=("bedrooms_96.npz",),
            source=(
                "4,379 bedroom photographs from Places365 and the Houses data set (Ahmed and Moustafa 2016)"
            ),
            terms="research use; the copyright of the images belongs to their owners; do not publish them",
        ),
        "rooms": Dataset(
            files=("bedrooms_96.npz", "rooms3_64.npz"),
            source=(
                "16,379 photographs of four kinds of room: the bedrooms of bedrooms, and 4,000 dining rooms, "
                "kitchens and living rooms each from Places365"
            ),
            terms="research use; the copyright of the images belongs to their owners; do not publish them",
            note="a bedroom is held out here exactly where it is held out in bedrooms",
            classes=_ROOMS,
        ),
        "flowers102": Dataset(
            files=("flowers102_64.npz",),
            source=_FLOWERS_SOURCE,
            terms=_RESEARCH,
            note=(
                "the official split: train and valid have ten images of each class, 1,020 each, and test the "
                f"other 6,149, of which three are copies of images in train or valid. {_TEMPLATES}"
            ),
            sides="split",
            classes=_FLOWERS,
        ),
        "flowers-unseen": Dataset(
            files=("flowers102_64.npz",),
            source=f"{_FLOWERS_SOURCE}, divided by colour and kind of flower",
            terms=_RESEARCH,
            note=(
                "test: the flowers of the combinations of colour and kind in genzoo.datasets.UNSEEN; train: "
                f"all others. {_TEMPLATES}"
            ),
            classes=_FLOWERS,
        ),
        "facades": Dataset(
            files=("facades_128.npz",),
            source="CMP facades (Tylecek and Sara 2013), the pairs of pix2pix: label map and photograph",
            terms="no licence stated; offered for research",
            note="400 pairs to train, 106 for tests; the maps came as JPEG, now in the nearest of 12 colours",
            halves="map",
            legend=dict(pair.split() for pair in _names(_PARTS)),
        ),
        "horse2zebra": Dataset(
            files=("horse2zebra_96.npz",),
            source="horse2zebra, the unpaired set of CycleGAN (Zhu et al. 2017), from ImageNet, at 96x96",
            terms=_RESEARCH,
            note="the official split: 1,067 horses and 1,334 zebras to train, 120 and 140 for tests",
            domains=_HORSES,
        ),
        "horses-zebras": Dataset(
            files=("horse2zebra_96.npz",),
            source="horse2zebra (Zhu et al. 2017), from ImageNet, at 96x96, as one set with labels",
            terms=_RESEARCH,
            note="the images and splits of horse2zebra, horses first",
            classes=_HORSES,
        ),
        "faces": Dataset(
            files=("faces_lfw_64.npz",),
            source="Labeled Faces in the Wild, deep-funnelled (Huang et al. 2007, 2012)",
            terms="research use; news photographs of public figures; do not publish them",
            note="attributes are predictions of a classifier, not human labels; nobody is in both splits",
            grouped="person",
        ),
        "frey": Dataset(
            files=("frey_faces.npz",),
            source="Frey faces (Roweis and Frey)",
            terms="no terms stated",
            note=f"frames of a film: held out in blocks of {FRAMES}",
            grouped="block",
        ),
        "omniglot": Dataset(
            files=("omniglot_small_28.npz",),
            source="a part of Omniglot (Lake, Salakhutdinov, Tenenbaum 2015) at 28x28",
            terms="MIT License, Brenden Lake",
            note="not the 28x28 set of Burda et al. 2015: likelihoods are not comparable with theirs",
        ),
    }
)
