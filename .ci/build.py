"""Build sdist and wheel of every distribution, as they go to an index.

    python .ci/build.py OUT [--address URL]

Links of a README lead to files of the repository, which an index page does not have. So each distribution is
built from a copy in which they are complete addresses. URL is that of the repository; by default the one in
the root's pyproject.toml. Nothing is fetched: hatchling must be installed.
"""

import argparse
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)]*)?\)")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "build", "dist", ".*")


def distributions() -> list[Path]:
    """Return the folder of every distribution, the core's first."""
    return [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]


def stated_address() -> str:
    """Return the address of the repository that the core's metadata state."""
    address: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Source"]
    return address


def complete(text: str, folder: str, address: str) -> str:
    """Return Markdown with each link to a file made a complete one; `folder` is where the text is in the
    repository, "" for its root.
    """

    def whole(match: re.Match[str]) -> str:
        picture, words, target, place = match.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        if path.startswith(".."):
            raise SystemExit(f"a link of {folder or 'the'} README leads out of the repository: {target}")
        kind = "raw" if picture else "blob"
        inner = LINK.sub(whole, words)
        return f"{picture}[{inner}]({address}/{kind}/main/{path}{place or ''})"

    return LINK.sub(whole, text)


def copy(folder: Path, to: Path, address: str) -> None:
    """Copy what the distribution in `folder` is built from, with complete links and `address` in its URLs."""
    if folder == ROOT:
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        for name in settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]:
            source = ROOT / name.lstrip("/")
            into = to / source.name
            shutil.copytree(source, into, ignore=LEFT_OUT) if source.is_dir() else shutil.copy2(source, into)
    else:
        shutil.copytree(folder, to, ignore=LEFT_OUT, dirs_exist_ok=True)
    inside = "" if folder == ROOT else folder.relative_to(ROOT).as_posix()
    readme, project = to / "README.md", to / "pyproject.toml"
    readme.write_text(complete(readme.read_text("utf-8"), inside, address), "utf-8")
    project.write_text(project.read_text("utf-8").replace(stated_address(), address), "utf-8")


def build(folder: Path, out: Path, address: str) -> None:
    """Build sdist and wheel of the distribution in `folder` into `out`."""
    with tempfile.TemporaryDirectory() as room:
        copy(folder, Path(room), address)
        command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(out)]
        subprocess.run(command, cwd=room, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Build every distribution and print the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--address", default=stated_address())
    options = parser.parse_args()
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    for folder in distributions():
        build(folder, out, options.address.rstrip("/"))
    sys.stdout.write("".join(f"{path.name}\n" for path in sorted(out.iterdir())))


if __name__ == "__main__":
    main()
