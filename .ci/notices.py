"""Write the notice next to each weights file from its row in the ledger: `python .ci/notices.py`.

A test checks that the notices are those of the ledger.
"""

from pathlib import Path

from genzoo.ledger import PackageSource, Row, read_rows

ROOT = Path(__file__).resolve().parent.parent
SUFFIX = ".NOTICE.txt"


def notice(row: Row) -> str:
    """Return the terms of the weights of `row`, in lines of any length."""
    facts = {
        "Licence": row.licence or "no licence stated",
        "Trained on": row.data,
        "Terms of the data": row.terms,
        "Training": row.trained,
        "Started from": "; ".join(row.lineage),
        "sha256": row.sha256,
    }
    lines = [f"{key}: {value}" for key, value in facts.items() if value]
    return "\n".join([f"{row.name}: terms of the weights", "", *lines, ""])


def notices() -> dict[Path, str]:
    """Return the path and the text of each notice: one for every weights file that a package holds."""
    found = {}
    for row in read_rows(ROOT / "zoo.toml").values():
        for source in row.places():
            if isinstance(source, PackageSource):
                (weights,) = (ROOT / "plugins").glob(f"*/{source.resource}")
                found[weights.with_suffix(SUFFIX)] = notice(row)
    return found


if __name__ == "__main__":
    for path, text in notices().items():
        path.write_text(text, "utf-8")
