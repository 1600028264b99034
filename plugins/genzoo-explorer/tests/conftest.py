"""The toy models as the only plugin, a server with them, and a page of it."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # cards name `explorer_toys:Class`

from explorer_site import running


@pytest.fixture(scope="module")
def toys():
    """The toy models, as the only installed plugin."""
    import explorer_toys

    from genzoo import hookimpl, registry
    from genzoo.hookspecs import API_VERSION

    with pytest.MonkeyPatch.context() as patch:
        plugin = SimpleNamespace(
            genzoo_api=API_VERSION,
            genzoo_cards=hookimpl(lambda: list(explorer_toys.CARDS), specname="genzoo_cards"),
        )
        about = SimpleNamespace(name="genzoo-explorer-toys", version="1.0")
        entry = SimpleNamespace(name="toys", value="toys", group="genzoo", dist=about, load=lambda: plugin)
        patch.setattr(registry, "discover", lambda: [entry])
        registry.installed.cache_clear()
        yield explorer_toys
    registry.installed.cache_clear()


@pytest.fixture(scope="module")
def site(toys):
    with running() as made:
        yield made


@pytest.fixture
def page(site):
    with site.page() as made:
        yield made
