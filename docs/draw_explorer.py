"""The picture of the explorer in the README: `python docs/draw_explorer.py` starts the explorer, opens a
model in a headless Chromium, slides two directions, and saves what is seen with a palette of 128 colours."""

import io
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

OUT = Path(__file__).resolve().parent / "images" / "explorer.png"
PAGE = "#dcgan-bedrooms?seed=3&i=11&d0=1.2&d2=-0.8"
SIZE = {"width": 1180, "height": 920}


def main() -> None:
    """Write the picture."""
    command = [sys.executable, "-m", "genzoo", "explore", "--no-browser", "--port", "0"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as browsers,
    ):
        address = server.stdout.readline().strip()
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(address + PAGE)
        # the page forbids scripts that playwright would wait with
        while not page.evaluate("document.querySelector('#slide-d7') !== null"):
            time.sleep(0.2)
        time.sleep(5)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
        server.terminate()
    picture.quantize(128, dither=Image.Dither.NONE).save(OUT, optimize=True)
    print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
    main()
