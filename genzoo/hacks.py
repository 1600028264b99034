"""The seventeen hacks of "How to Train a GAN?" (Chintala, Denton, Arjovsky & Mathieu 2016,
github.com/soumith/ganhacks) as switches.

A hack is a key of the recipe (works with any nets), a key of a model's config (its nets must offer it), what
a card states, how genzoo always works, or absent for a stated reason. `genzoo hacks` lists them; the training
doctor suggests one for most problems that it finds.
"""

from __future__ import annotations

from genzoo.switches import WHERE as WHERE
from genzoo.switches import Hack as Hack
from genzoo.switches import config_is, config_is_not, game_of

SOURCE = "https://github.com/soumith/ganhacks"

HACKS: tuple[Hack, ...] = (
    Hack(
        number=1,
        name="normalised-images",
        where="always",
        words=(
            "D sees images in [-1, 1] and G ends in tanh; outside the nets of dcgan and the models "
            "built on it, images are in [0, 1]"
        ),
        source="Radford et al. 2016",
    ),
    Hack(
        number=2,
        name="non-saturating",
        where="recipe",
        key="objective",
        default="non-saturating",
        on="non-saturating",
        words=(
            "G ascends log D instead of descending log(1 - D), as if its labels were flipped, so its "
            "gradient does not vanish when D is confident"
        ),
        source="Goodfellow et al. 2014, section 3",
        is_on=lambda recipe, config: game_of(recipe).objective != "minimax",
    ),
    Hack(
        number=3,
        name="spherical-z",
        where="always",
        words=(
            "z is Gaussian and interpolated along great circles; if the model's paper uses a uniform "
            "prior on a cube (prior = uniform), z is interpolated along straight lines"
        ),
        source="White 2016, arXiv:1609.04468",
    ),
    Hack(
        number=4,
        name="separate-batches",
        where="always",
        words=("real images and fakes pass through D in separate batches, so batch norm never mixes them"),
    ),
    Hack(
        number=4,
        name="instance-norm",
        where="config",
        key="norm",
        default="batch",
        on="instance",
        words="each image is normalised on its own, for cases where batch norm cannot be used",
        source="Ulyanov et al. 2016, arXiv:1607.08022",
        is_on=config_is("norm", "instance"),
    ),
    Hack(
        number=5,
        name="dense-gradients",
        where="always",
        words="no pooling: strided convolutions shrink maps and transposed ones grow them; LeakyReLU in D",
        source="Radford et al. 2016",
    ),
    Hack(
        number=5,
        name="leaky-generator",
        where="config",
        key="activation",
        default="relu",
        on="leaky-relu",
        words="LeakyReLU in G as well, which uses ReLU by default",
        is_on=config_is("activation", "leaky-relu"),
    ),
    Hack(
        number=6,
        name="soft-labels",
        where="recipe",
        key="soft_labels",
        default="0",
        on="0.3",
        words=(
            "D is trained on labels drawn per image: from 1 - s to 1 + 2s/3 for real images and from "
            "0 to s for fakes (s = 0.3: 0.7-1.2 and 0-0.3)"
        ),
        source="Salimans et al. 2016, arXiv:1606.03498",
        is_on=lambda recipe, config: game_of(recipe).soft_labels > 0,
    ),
    Hack(
        number=6,
        name="flipped-labels",
        where="recipe",
        key="flipped_labels",
        default="0",
        on="0.05",
        words="this share of D's labels is flipped, chosen at random per image",
        is_on=lambda recipe, config: game_of(recipe).flipped_labels > 0,
    ),
    Hack(
        number=7,
        name="dcgan",
        where="always",
        words=(
            "dcgan is a model of the zoo, and other models use its nets; a hybrid with a VAE is a "
            "three-player game that a plugin can register"
        ),
        source="Radford et al. 2016",
    ),
    Hack(
        number=8,
        name="replay",
        where="recipe",
        key="replay",
        default="0",
        on="0.5",
        words=(
            "this share of the fakes that D sees comes from a pool of ten earlier batches, which is "
            "saved in the checkpoint"
        ),
        source="Pfau & Vinyals 2016; Shrivastava et al. 2017, arXiv:1612.07828",
        is_on=lambda recipe, config: game_of(recipe).replay > 0,
    ),
    Hack(
        number=9,
        name="adam",
        where="recipe",
        key="optimizer",
        default="adam",
        on="adam",
        words="Adam for both players",
        source="Radford et al. 2016",
        is_on=lambda recipe, config: recipe.optimizer_of("generator") == "adam",
    ),
    Hack(
        number=9,
        name="sgd-discriminator",
        where="recipe",
        key="optimizer.discriminator",
        default="adam",
        on="sgd",
        words="SGD for D and Adam for G",
        is_on=lambda recipe, config: recipe.optimizer_of("discriminator") == "sgd",
    ),
    Hack(
        number=10,
        name="watch",
        where="recipe",
        key="watch",
        default="true",
        on="true",
        words=(
            "the training doctor stops a game that D has won, and reports exploding gradients, mode "
            "collapse and similar problems during training"
        ),
        is_on=lambda recipe, config: recipe.watch,
    ),
    Hack(
        number=11,
        name="fixed-turns",
        where="always",
        words="how often each player moves is fixed in the recipe and never depends on the losses",
    ),
    Hack(
        number=12,
        name="labels",
        where="recipe",
        key="classes",
        default="0",
        on="10",
        words=(
            "D also learns to classify real images into this many classes, with a linear layer on its "
            "last hidden layer that is discarded after training"
        ),
        source="Odena et al. 2017, arXiv:1610.09585",
        is_on=lambda recipe, config: game_of(recipe).classes > 0,
    ),
    Hack(
        number=13,
        name="instance-noise",
        where="recipe",
        key="instance_noise",
        default="0",
        on="0.1",
        words=(
            "Gaussian noise on everything that D sees; its standard deviation starts at this value "
            "and falls linearly to 0 at the last step"
        ),
        source="Sønderby et al. 2017, arXiv:1610.04490; Arjovsky & Bottou 2017",
        is_on=lambda recipe, config: game_of(recipe).instance_noise > 0,
    ),
    Hack(
        number=13,
        name="noise-in-g",
        where="absent",
        words="no noise in the layers of G: an image is a function of its z alone, whatever the batch",
        source="Zhao et al. 2017, arXiv:1609.03126",
    ),
    Hack(
        number=14,
        name="more-turns",
        where="recipe",
        key="turns.discriminator",
        default="1",
        on="5",
        words="D moves more often than G",
        source="Arjovsky et al. 2017, arXiv:1701.07875",
        is_on=lambda recipe, config: recipe.turns_of("discriminator") > recipe.turns_of("generator"),
    ),
    Hack(
        number=15,
        name="minibatch-discrimination",
        where="config",
        key="minibatch",
        default="0",
        on="16",
        words="D sees how close each image is to the others in its batch, so a collapsed G is detected",
        source="Salimans et al. 2016, arXiv:1606.03498",
        is_on=config_is_not("minibatch", 0),
    ),
    Hack(
        number=16,
        name="embedded-conditions",
        where="card",
        words=(
            "G and D of a model that takes labels have an embedding of the label each; genzoo list says "
            "which models do"
        ),
        source="Mirza & Osindero 2014, arXiv:1411.1784; Miyato & Koyama 2018, arXiv:1802.05637",
        is_on=lambda recipe, config: "labels" in config,
    ),
    Hack(
        number=17,
        name="dropout-in-g",
        where="config",
        key="dropout",
        default="0",
        on="0.5",
        words=(
            "G drops channels at random in training; in sampling z determines which, so the same z "
            "always gives the same image"
        ),
        source="Isola et al. 2017, arXiv:1611.07004",
        is_on=config_is_not("dropout", 0),
    ),
)


def hack(name: str) -> Hack:
    """Return the hack called `name`; KeyError if there is none (names come from code, not from users)."""
    return {each.name: each for each in HACKS}[name]
