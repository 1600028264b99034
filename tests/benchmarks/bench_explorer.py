"""The explorer: from a slide to its picture in a browser, eight clients at once, memory over 2,000 pictures.

    python tests/benchmarks/bench_explorer.py [NAME]

The server is a process of its own; the browser is Chromium, without a screen. Prints one line for each.
"""

import contextlib
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import threading
import time

from playwright.sync_api import sync_playwright
from websockets.sync.client import connect

SLIDES, CLIENTS, EACH, PICTURES = 50, 8, 25, 2_000
SMALL = "vae-mnist"  # whose pictures memory is measured with


@contextlib.contextmanager
def explorer():
    words = [sys.executable, "-m", "genzoo", "explore", "--no-browser", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def used(pid):
    """Return the processor time of a process in ms: unlike a latency, other processes hardly change it."""
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return 1000 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Return the memory of a process in MB."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


class Client:
    def __init__(self, stack, address):
        where = address.replace("http", "ws") + "socket"
        self.wire = stack.enter_context(connect(where, origin=address.rstrip("/"), max_size=2**26))
        self.number = 0

    def ask(self, do, **values):
        """Return the first answer and the seconds that it took."""
        self.number += 1
        began, first, seconds = time.perf_counter(), None, 0.0
        self.wire.send(json.dumps({"id": self.number, "do": do, **values}))
        while True:
            data = self.wire.recv()
            size = struct.unpack("<I", data[:4])[0]
            answer = json.loads(data[4 : 4 + size])
            if "error" in answer:
                raise SystemExit(answer["error"])
            if first is None:
                first, seconds = answer, time.perf_counter() - began
            if "done" in answer:
                return first, seconds


def slides(address, pid, name):
    """Return the milliseconds from each of many slides to its picture, as the page itself measures them, and
    the processor time of the server for one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{address}#{name}?seed=3")
        while not page.evaluate("document.querySelector('#slide-d0')?.id"):  # the pages forbid other ways
            time.sleep(0.1)
        time.sleep(3)
        move = """v => new Promise(resolve => {
            const slider = document.querySelector('#slide-d0');
            const canvas = document.querySelector('#picture');
            const before = canvas.dataset.drawn, began = performance.now();
            const look = () => canvas.dataset.drawn === before
                ? requestAnimationFrame(look) : resolve(performance.now() - began);
            slider.value = v; slider.dispatchEvent(new Event('input')); look(); })"""
        for i in range(10):
            page.evaluate(move, i / 10)
        before = used(pid)
        found = [page.evaluate(move, (i % 40) / 10 - 2) for i in range(SLIDES)]
        each = (used(pid) - before) / SLIDES
        browser.close()
    return found, each


def at_once(address, name):
    """Return the seconds of each decode of eight clients that ask at the same time, and of all of them."""
    taken, began = [], time.perf_counter()

    def work():
        with contextlib.ExitStack() as stack:
            client = Client(stack, address)
            z = client.ask("latents", model=name, n=1)[0]["z"]
            taken.extend(client.ask("decode", model=name, z=z)[1] for _ in range(EACH))

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken, time.perf_counter() - began


def memory(address, pid, name):
    """Return the memory after 200 pictures and after 2,000 more, in MB; each client takes fifty."""
    sizes = []
    for count in (200, PICTURES):
        for _ in range(count // 50):
            with contextlib.ExitStack() as stack:
                client = Client(stack, address)
                for seed in range(10):
                    client.ask("latents", model=name, n=5, seed=seed)
        sizes.append(resident(pid))
    return sizes


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "dcgan-bedrooms"
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    with explorer() as (address, pid):
        times, each = slides(address, pid, name)
        middle, worst = statistics.median(times), max(times)
        print(f"slide to picture: median {middle:.0f} ms, of {len(times)} the worst {worst:.0f} ms; {load}")
        print(f"processor time of the server per slide: {each:.0f} ms")
        taken, whole = at_once(address, name)
        print(
            f"{CLIENTS} clients at once: {len(taken) / whole:.0f} pictures/s in all, median "
            f"{1000 * statistics.median(taken):.0f} ms, worst {1000 * max(taken):.0f} ms"
        )
        before, after = memory(address, pid, SMALL)
        print(f"memory: {before:.0f} MB after 200 pictures, {after:.0f} MB after {PICTURES:,} more")


if __name__ == "__main__":
    main()
