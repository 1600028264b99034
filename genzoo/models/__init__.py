"""What a plugin author subclasses.

Two independent questions place a model: can p(x) be asked for (`DensityModel`: exactly, as of every
`AutoregressiveModel`, or as a bound, as of every `ImportanceModel`; `ImplicitModel`: no), and is there a
latent z (`LatentModel`: decode; `EncodingModel`: encode as well)? A GAN is an `AdversarialModel`: implicit,
with a z and a discriminator. A `ClassifyingModel` answers neither: it is no generative model, and its
features are what samples are measured in.
"""

from genzoo.models.adversarial import AdversarialModel
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.classifier import ClassifyingModel
from genzoo.models.density import DensityModel
from genzoo.models.implicit import ImplicitModel
from genzoo.models.importance import Importance, ImportanceModel
from genzoo.models.latent import EncodingModel, LatentModel
from genzoo.models.model import GenerativeModel, Model
from genzoo.models.posterior import Posterior

__all__ = [
    "AdversarialModel",
    "AutoregressiveModel",
    "ClassifyingModel",
    "DensityModel",
    "EncodingModel",
    "GenerativeModel",
    "ImplicitModel",
    "Importance",
    "ImportanceModel",
    "LatentModel",
    "Model",
    "Posterior",
]
