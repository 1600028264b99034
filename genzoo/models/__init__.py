"""The base classes that a plugin author subclasses.

Two independent questions place a model: does it give p(x) (`DensityModel`: exactly, as every
`AutoregressiveModel`, or as a bound, as every `ImportanceModel`; `ImplicitModel`: no), and does it have a
latent z (`LatentModel`: decode; `EncodingModel`: encode as well)? A GAN is an `AdversarialModel`: implicit,
with a z and a discriminator. A `TranslatingModel` is implicit and draws a picture from a picture. A
`StagedModel` is a latent model with an image of z at each of its stages. A `ClassifyingModel` is not a
generative model, and samples are measured in its features.
"""

from genzoo.models.adversarial import AdversarialModel
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.classifier import ClassifyingModel
from genzoo.models.density import DensityModel
from genzoo.models.foreign import Foreign, Layer, Layout, Net, layouts
from genzoo.models.implicit import ImplicitModel
from genzoo.models.importance import Importance, ImportanceModel
from genzoo.models.latent import EncodingModel, LatentModel
from genzoo.models.model import GenerativeModel, Model
from genzoo.models.posterior import Posterior
from genzoo.models.staged import StagedModel
from genzoo.models.translating import TranslatingModel

__all__ = [
    "AdversarialModel",
    "AutoregressiveModel",
    "ClassifyingModel",
    "DensityModel",
    "EncodingModel",
    "Foreign",
    "GenerativeModel",
    "ImplicitModel",
    "Importance",
    "ImportanceModel",
    "LatentModel",
    "Layer",
    "Layout",
    "Model",
    "Net",
    "Posterior",
    "StagedModel",
    "TranslatingModel",
    "layouts",
]
