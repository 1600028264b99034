"""The laws that every model must obey, from genzoo's own plugins and from third-party ones.

    from genzoo.testing import laws

    test_laws = laws("genzoo-blobs")

Put this line in a test file of the plugin. It checks the plugin and each of its models against every law
that applies, one test each. A broken law raises LawError, an AssertionError that names the law, what was
observed and where to look.

law.py         LawError
suite.py       laws: the line above
pytest_plugin  how pytest shows a broken law
plugin.py      check_plugin: everything that the hooks name exists
cards.py       check_card: the card and the class it names
generative.py  check_generative: samples
latent.py      check_latent: the latent space
staged.py      check_staged: the stages of an image, from coarse to fine
implicit.py    check_implicit: models that can only be sampled
adversarial.py check_adversarial: models trained against a discriminator
density.py     check_density: models with p(x), exact or bounded
classifying.py check_classifying: classifiers
conditional.py check_conditional: models that take a condition
translating.py check_translating: models that make a picture of a picture
game.py        check_game: training
whole.py       check_model: all laws that apply, on a small build

Importing this package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from genzoo.testing.law import LawError

if TYPE_CHECKING:
    from genzoo.testing.adversarial import check_adversarial
    from genzoo.testing.cards import check_card
    from genzoo.testing.classifying import check_classifying
    from genzoo.testing.conditional import check_conditional
    from genzoo.testing.density import check_density
    from genzoo.testing.game import check_game
    from genzoo.testing.generative import check_generative
    from genzoo.testing.implicit import check_implicit
    from genzoo.testing.latent import check_latent
    from genzoo.testing.plugin import check_plugin
    from genzoo.testing.staged import check_staged
    from genzoo.testing.suite import laws
    from genzoo.testing.translating import check_translating
    from genzoo.testing.whole import check_model, check_weights, small_config

__all__ = [
    "LawError",
    "check_adversarial",
    "check_card",
    "check_classifying",
    "check_conditional",
    "check_density",
    "check_game",
    "check_generative",
    "check_implicit",
    "check_latent",
    "check_model",
    "check_plugin",
    "check_translating",
    "check_staged",
    "check_weights",
    "laws",
    "small_config",
]

_ROOMS = {
    "check_adversarial": "adversarial",
    "check_card": "cards",
    "check_classifying": "classifying",
    "check_conditional": "conditional",
    "check_density": "density",
    "check_game": "game",
    "check_generative": "generative",
    "check_implicit": "implicit",
    "check_latent": "latent",
    "check_model": "whole",
    "check_plugin": "plugin",
    "check_translating": "translating",
    "check_staged": "staged",
    "check_weights": "whole",
    "laws": "suite",
    "small_config": "whole",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'genzoo.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"genzoo.testing.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
