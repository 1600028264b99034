"""What is built: wheel and sdist of the core and of each plugin, and what is said about them."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.licenses import canonicalize_license_expression

from genzoo import __version__
from genzoo.ledger import PackageSource, Row, add_row, load_ledgers, read_rows
from genzoo.record import Record

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
DISTRIBUTIONS = [ROOT, *PLUGINS]
ADDRESS = "https://example.org/someone/genzoo"  # other than the one in pyproject.toml
LICENCES = {False: "MIT", True: "MIT AND LicenseRef-genzoo-weights"}  # with weights in the package or not
DATA_THAT_RUNS = (
    ".pkl",
    ".pickle",
    ".pt",
    ".pth",
    ".ckpt",
    ".bin",
    ".joblib",
    ".npy",
    ".so",
    ".pyd",
    ".pyc",
    ".sh",
)


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


def script(name):
    """Return a script of .ci as a module."""
    found = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Return the folder in which every distribution was built as it goes to an index, once."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(ROOT / ".ci" / "build.py"), str(out), "--address", ADDRESS]
    subprocess.run(command, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def built(dist):
    """Return the wheel of each distribution by its name."""
    (version,) = {project(folder)["version"] for folder in DISTRIBUTIONS}
    every = [project(folder)["name"] for folder in DISTRIBUTIONS]
    return {name: dist / f"{name.replace('-', '_')}-{version}-py3-none-any.whl" for name in every}


def metadata(wheel):
    """Return what an index shows of a wheel: the fields, with the README as payload."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(file.read(name).decode("utf-8"))


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """Return a folder that holds the core's wheel alone, as an installation would."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(built["genzoo"]) as wheel:
        wheel.extractall(folder)
    return folder


def names(wheel):
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


def test_the_core_brings_its_ledger_its_digits_and_its_types(built):
    assert {"genzoo/zoo.toml", "genzoo/data/digits.npz", "genzoo/py.typed"} <= names(built["genzoo"])


def test_the_core_brings_every_module(built):
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "genzoo").rglob("*.py")}
    assert modules <= names(built["genzoo"])


def test_the_core_brings_what_new_plugin_writes_from(built):
    texts = {path.relative_to(ROOT).as_posix() for path in (ROOT / "genzoo" / "cli" / "kit").iterdir()}
    assert len(texts) > 10 and texts <= names(built["genzoo"])


def test_pytest_finds_the_laws(built):
    with zipfile.ZipFile(built["genzoo"]) as wheel:
        text = wheel.read("genzoo-0.1.0.dist-info/entry_points.txt").decode()
    assert "[pytest11]\ngenzoo = genzoo.testing.pytest_plugin\n" in text


def test_plugins_bring_modules_types_and_weights(built):
    for folder in PLUGINS:
        package = folder / folder.name.replace("-", "_")
        wanted = {
            path.relative_to(folder).as_posix()
            for path in package.rglob("*")
            if path.suffix in (".py", ".safetensors", ".toml", ".html", ".css", ".js", ".svg")
        }
        assert wanted | {f"{package.name}/py.typed"} <= names(built[folder.name])


def test_every_wheel_brings_its_licence(built):
    for wheel in built.values():
        assert any(re.search(r"dist-info/licenses/LICENSE$", name) for name in names(wheel))


def test_no_wheel_holds_what_could_run_or_does_not_belong(built):
    for wheel in built.values():
        odd = [name for name in names(wheel) if name.endswith(DATA_THAT_RUNS) or "test" in name.split("/")[0]]
        assert odd == []


def test_wheels_are_small(built):
    """PyPI refuses 100 MB; the weights inside a plugin are a few sets of at most 8 MB."""
    assert all(
        wheel.stat().st_size < (2 if name == "genzoo" else 16) * 2**20 for name, wheel in built.items()
    )


def has_weights(folder):
    return any(folder.glob("genzoo_*/weights/*.safetensors"))


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_an_index_can_show_a_distribution(folder, built):
    shown = metadata(built[project(folder)["name"]])
    assert shown["Author"] == "The genzoo authors" and len(shown["Keywords"].split(",")) >= 5
    urls = dict(line.split(", ") for line in shown.get_all("Project-URL"))
    assert set(urls) == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert all(url.startswith(ADDRESS) for url in urls.values())
    licence = shown["License-Expression"]
    assert licence == LICENCES[has_weights(folder)] == canonicalize_license_expression(licence)
    # an index refuses both together (PEP 639)
    assert not any(line.startswith("License ::") for line in shown.get_all("Classifier"))
    assert "Typing :: Typed" in shown.get_all("Classifier")


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_links_of_a_readme_work_on_an_index(folder, built):
    text = metadata(built[project(folder)["name"]]).get_payload()
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links and [link for link in links if not re.match(r"https?://|#", link)] == []
    for link in links:
        if link.startswith(ADDRESS):
            kind, path = re.fullmatch(r"(blob|raw)/main/([^#]+).*", link[len(ADDRESS) + 1 :]).groups()
            assert (ROOT / path).exists() and (kind == "raw") == path.endswith(".png"), link


def test_links_are_completed_from_their_folder():
    complete = script("build").complete
    text = "[![p](a/b.png)](c.md#d) [x](https://y.z) [w](#here) [up](../../README.md)"
    assert complete(text, "plugins/one", "https://h") == (
        "[![p](https://h/raw/main/plugins/one/a/b.png)](https://h/blob/main/plugins/one/c.md#d) "
        "[x](https://y.z) [w](#here) [up](https://h/blob/main/README.md)"
    )
    with pytest.raises(SystemExit, match="leads out of the repository"):
        complete("[x](../y)", "", "https://h")


def test_an_sdist_holds_what_its_wheel_is_built_from(built, dist):
    for folder in DISTRIBUTIONS:
        wheel = built[project(folder)["name"]]
        (archive,) = dist.glob(f"{wheel.name.split('-')[0]}-*.tar.gz")
        with tarfile.open(archive) as file:
            inside = {name.partition("/")[2] for name in file.getnames()}
        packed = {name.replace("genzoo/zoo.toml", "zoo.toml") for name in names(wheel)}
        assert {name for name in packed if ".dist-info" not in name} | {"pyproject.toml"} <= inside


def test_every_weights_file_has_its_notice(built):
    notices = script("notices").notices()
    for path, text in notices.items():
        assert path.read_text("utf-8") == text, "run python .ci/notices.py"
    files = {path.with_suffix(".NOTICE.txt") for path in (ROOT / "plugins").glob("*/*/weights/*.safetensors")}
    assert files == notices.keys()
    for path in files:
        inside = names(built[path.parents[2].name])
        assert any(name.endswith(f"licenses/{path.relative_to(path.parents[2])}") for name in inside), (
            path.name
        )


def test_a_run_is_taken_into_the_repository(tmp_path, monkeypatch):
    """Weights, row and licence; a second run of the model replaces the first."""
    monkeypatch.syspath_prepend(ROOT / ".ci")
    publish = script("publish")
    (tmp_path / "plugins" / "genzoo-box" / "genzoo_box").mkdir(parents=True)
    project = tmp_path / "plugins" / "genzoo-box" / "pyproject.toml"
    project.write_text(f"[project]\n{publish.CODE[0]}\n")
    for content, licence in ((b"one", ""), (b"another", "CC0-1.0")):
        row = Row(
            name="boxed",
            plugin="genzoo-box",
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            sources=("folder:boxed-0.safetensors",),
            licence=licence,
            card="boxed-0.md",
            scores=(Record(metric="kid", value=0.5, n=9, data="digits", subject="boxed"),),
        )
        run = tmp_path / content.decode()
        run.mkdir()
        (run / "boxed-0.safetensors").write_bytes(content)
        add_row(run / "zoo.toml", row)
        publish.publish(run, tmp_path)
        (found,) = read_rows(tmp_path / "zoo.toml").values()
        assert found == row.replace(
            sources=("package:genzoo_box/weights/boxed.safetensors",),
            licence=licence or publish.LICENCE,
            card="",  # of the run's folder
            origin=found.origin,
        )
        inside = project.parent / "genzoo_box" / "weights"
        assert [path.name for path in inside.iterdir()] == ["boxed.safetensors"]
        assert (inside / "boxed.safetensors").read_bytes() == content
        stated = tomllib.loads(project.read_text("utf-8"))["project"]
        assert stated["license"] == LICENCES[True]
        assert stated["license-files"] == ["LICENSE", "genzoo_box/weights/*.NOTICE.txt"]


def test_extras_install_everything():
    extras = project(ROOT)["optional-dependencies"]
    listed = {text.partition(">=")[0] for text in extras["models"]}
    assert listed == {folder.name for folder in PLUGINS}
    (everything,) = extras["all"]
    assert set(re.fullmatch(r"genzoo\[(.+)\]", everything)[1].split(",")) == extras.keys() - {"all"}
    shown = (ROOT / "docs" / "installing.md").read_text("utf-8")
    assert all(f"genzoo[{name}]" in shown for name in extras)


def test_workflows_run_the_steps_of_ci():
    """Every step of a workflow that runs something of the project is a script of .ci, and exists."""
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        lines = re.findall(r"^ *- run: (.+)$", path.read_text("utf-8"), re.MULTILINE)
        steps = [line.split()[0] for line in lines if not line.startswith("pip install ")]
        assert steps and all(step.startswith(".ci/") and os.access(ROOT / step, os.X_OK) for step in steps)
    inside = (ROOT / ".ci" / "run").read_text("utf-8")
    assert ".ci/check-code" in inside and ".ci/check-site" in inside


def run(folder, code, tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "GENZOO_PLUGINS": "",
        "GENZOO_CACHE": str(tmp_path),
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout


def test_the_wheel_of_the_core_finds_its_own_ledger(unpacked, tmp_path):
    code = "from genzoo.ledger import find_ledger; print(find_ledger())"
    assert Path(run(unpacked, code, tmp_path).strip()) == unpacked / "genzoo" / "zoo.toml"
    assert (unpacked / "genzoo" / "zoo.toml").read_bytes() == (ROOT / "zoo.toml").read_bytes()


def test_the_checkout_finds_the_ledger_at_its_top(tmp_path):
    code = "from genzoo.ledger import find_ledger; print(find_ledger())"
    assert Path(run(ROOT, code, tmp_path).strip()) == ROOT / "zoo.toml"


def test_the_core_alone_lists_its_models(unpacked, tmp_path):
    code = "import sys; sys.argv = ['genzoo', 'list', '--json']; from genzoo.cli import main; main()"
    assert run(unpacked, code, tmp_path).strip() == "[]"


def test_all_versions_agree():
    assert {project(folder)["version"] for folder in DISTRIBUTIONS} == {__version__}
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_everything_is_told_to_work_from_the_same_python():
    assert {project(folder)["requires-python"] for folder in DISTRIBUTIONS} == {">=3.10"}


def test_torch_is_a_range_that_holds_the_version_pinned_for_development():
    pinned = re.search(r"^torch==(\d+)\.(\d+)", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    for folder in DISTRIBUTIONS:
        (wanted,) = [line for line in project(folder)["dependencies"] if line.startswith("torch")]
        low, high = re.fullmatch(r"torch>=(\d+)\.\d+,<(\d+)", wanted).groups()
        assert int(low) <= int(pinned[1]) < int(high)


def test_torchvision_is_no_dependency():
    assert not [
        line for folder in DISTRIBUTIONS for line in project(folder)["dependencies"] if "torchvision" in line
    ]


def test_one_pip_line_installs_every_distribution():
    text = (ROOT / "requirements.txt").read_text("utf-8")
    assert "-c constraints.txt" in text
    assert set(re.findall(r"^-e (.+)$", text, re.MULTILINE)) == {
        ".",
        *(f"./plugins/{folder.name}" for folder in PLUGINS),
    }
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text("utf-8")


def test_the_ledger_can_be_read_and_its_weights_are_those_in_the_tree():
    for row in read_rows(ROOT / "zoo.toml").values():
        for source in row.places():
            if isinstance(source, PackageSource):
                (found,) = (ROOT / "plugins").glob(f"*/{source.resource}")
                assert found.stat().st_size == row.bytes
    assert load_ledgers(extra=()).problems == ()


def test_the_oldest_versions_that_are_tested_are_those_that_are_promised():
    """`.ci/oldest` installs exactly the lower bound of each dependency of the core."""
    lines = [
        line
        for line in (ROOT / ".ci" / "oldest.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    tested = {
        name: version.partition(";")[0].strip()
        for name, _, version in (line.partition("==") for line in lines)
    }
    promised = dict(re.match(r"([\w-]+)>=([\d.]+)", text).groups() for text in project(ROOT)["dependencies"])
    assert tested.keys() == promised.keys()
    for name, lower in promised.items():
        assert (tested[name] + ".0").startswith(lower + "."), (
            f"{name}: {lower} is promised, {tested[name]} is tested"
        )
    for folder in PLUGINS:
        for text in project(folder)["dependencies"]:
            name, _, lower = text.partition(">=")
            assert name not in promised or lower.partition(",")[0] == promised[name], f"{folder.name}: {text}"
