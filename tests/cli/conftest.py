"""A site with a plugin of toys, weights for one of them, and two ways to run the command line: a process of
its own, and click's runner."""

import pytest
import toys
from shell import TOYS, Site, in_process, lay

from genzoo import hub
from genzoo.files import sha256_of
from genzoo.ledger import Row
from genzoo.models import golden
from genzoo.models.weights import encode
from genzoo.record import Record


@pytest.fixture(scope="session")
def toy_site(tmp_path_factory):
    """Give a folder of packages with the plugin of toys, and nothing that is broken."""
    folder = tmp_path_factory.mktemp("site")
    lay(folder, "toy-box", TOYS)
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Give a hub folder with the weights of toy-gan."""
    folder = tmp_path_factory.mktemp("published")
    net = toys.gan()
    blob = encode(net, "toy-gan", golden.record(net))
    score = Record(
        metric="kid",
        features="toy@0123456789ab",
        value=0.0123,
        stderr=0.001,
        n=100,
        subject="toy-gan",
        data="digits",
        protocol="all pairs",
    )
    facts = {
        "licence": "MIT",
        "data": "digits, 1,610 images",
        "terms": "research use",
        "trained": "not at all",
        "scores": (score,),
    }
    row = Row(
        name="toy-gan",
        sha256=sha256_of(blob),
        bytes=len(blob),
        sources=("folder:toy-gan.safetensors",),
        plugin="toy-box",
        **facts,
    )
    hub.push(folder, name="toy-gan", weights=blob, row=row, card_text="# toy-gan\n")
    return folder


@pytest.fixture
def site(toy_site, tmp_path, published):
    """Give the program with the plugin of toys."""
    return Site(toy_site, tmp_path, published)


@pytest.fixture
def own_site(tmp_path, published):
    """Give the program with packages of the test's own; lay them in `own_site.packages`."""
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site", tmp_path, published)


@pytest.fixture
def run(monkeypatch, tmp_path, toy_site, published):
    """Give `run(*args)`, which calls the program in this process, in an empty folder, with the plugin of
    toys."""
    with in_process(monkeypatch, tmp_path, toy_site, "toy-box", published) as run:
        yield run
