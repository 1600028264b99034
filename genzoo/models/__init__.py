"""What a plugin author subclasses.

Two independent questions place a model: can p(x) be asked for (`DensityModel`: exactly, as of every `AutoregressiveModel`, or as a
bound; `ImplicitModel`: no), and is there a latent z (`LatentModel`: decode; `EncodingModel`: encode as well)?
"""

from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.density import DensityModel
from genzoo.models.folding import compact
from genzoo.models.implicit import ImplicitModel
from genzoo.models.latent import EncodingModel, LatentModel
from genzoo.models.model import GenerativeModel, Model
from genzoo.models.strided import StridedConv2d, StridedConvTranspose2d

__all__ = [
    "AutoregressiveModel", "DensityModel", "EncodingModel", "GenerativeModel", "ImplicitModel", "LatentModel", "Model",
    "StridedConv2d", "StridedConvTranspose2d", "compact",
]  # fmt: skip
