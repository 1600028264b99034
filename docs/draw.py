"""Draw the pictures of docs/lecture.md anew: `python docs/draw.py` runs each command whose picture the page
shows."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "lecture.md"
PICTURES = PAGE.parent / "images" / "lecture"


def main(wanted):
    """Draw the pictures named in `wanted`, or all."""
    text = PAGE.read_text("utf-8")
    shown = set(re.findall(r"\(images/lecture/([^)]+)\)", text))
    PICTURES.mkdir(exist_ok=True)
    for line in re.findall(r"`(genzoo [^`]*-o ([\w.-]+)[^`]*)`", text):
        if line[1] in shown and (not wanted or line[1] in wanted):
            print(f"+ {line[0]}", flush=True)
            (PICTURES / line[1]).unlink(missing_ok=True)
            subprocess.run([sys.executable, "-m", *shlex.split(line[0])], cwd=PICTURES, check=True)


if __name__ == "__main__":
    main(set(sys.argv[1:]))
