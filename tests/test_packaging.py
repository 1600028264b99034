"""What is built: the wheels of the core and of each plugin, and what is said about them."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from genzoo import __version__
from genzoo.ledger import PackageSource, load_ledgers, read_rows

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
DISTRIBUTIONS = [ROOT, *PLUGINS]
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


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the wheel of each distribution by its name, built once."""
    wheels = {}
    for folder in DISTRIBUTIONS:
        out = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (wheels[project(folder)["name"]],) = out.glob("*.whl")
    return wheels


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
            assert name.startswith("genzoo") or lower.partition(",")[0] == promised[name], (
                f"{folder.name}: {text}"
            )
