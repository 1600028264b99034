"""Take finished runs into the repository: `python .ci/publish.py runs/pix2pix-facades runs/began-faces`.

Of each run the weights go into the package of their plugin and the row, with the scores of the run, into
zoo.toml; the notice is written, and the plugin's pyproject.toml says that it holds weights. Curves of its log
that the documentation shows are drawn. Then `python docs/draw.py` draws the pictures of the documentation
that waited for the weights.
"""

import shutil
import sys
from pathlib import Path

from notices import ROOT, notices

from genzoo.ledger import Row, add_row, read_rows

sys.path.insert(0, str(ROOT / "docs"))

import draw

LICENCE = "MIT (weights); the images keep their own terms"
CODE = ('license = "MIT"\nlicense-files = ["LICENSE"]', 'license = "MIT AND LicenseRef-genzoo-weights"')


def publish(run: Path, root: Path = ROOT) -> Row:
    """Copy the weights and the row of the finished run in the folder `run`; return the row in zoo.toml."""
    (row,) = read_rows(run / "zoo.toml").values()
    package = row.plugin.replace("-", "_")
    inside = f"{package}/weights/{row.name}.safetensors"
    weights = root / "plugins" / row.plugin / inside
    weights.parent.mkdir(exist_ok=True)
    shutil.copyfile(run / row.sources[0].removeprefix("folder:"), weights)
    here = row.replace(sources=(f"package:{inside}",), licence=row.licence or LICENCE, card="")
    add_row(root / "zoo.toml", here)
    project = root / "plugins" / row.plugin / "pyproject.toml"
    notice = f'license-files = ["LICENSE", "{package}/weights/*.NOTICE.txt"]'
    project.write_text(project.read_text("utf-8").replace(CODE[0], f"{CODE[1]}\n{notice}"), "utf-8")
    return here


def draw_curves(run: Path, name: str, root: Path = ROOT) -> None:
    """Draw the curves of the run in the folder `run` that the documentation shows of the model `name`."""
    for picture, (model, key) in draw.CURVES.items():
        if model == name:
            draw.curve(run, key).save(root / "docs" / "images" / picture)


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        published = publish(folder)
        draw_curves(folder, published.name)
        sys.stdout.write(f"{published.name}\n")
    for path, text in notices().items():
        path.write_text(text, "utf-8")
