"""Plugins that cannot hurt: every fault is one row, one line, and costs the others nothing (rule R7)."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

import genzoo
from genzoo import discovery, registry
from genzoo.card import Card, Family, fold
from genzoo.errors import ArgumentError, PluginError, UnknownNameError
from genzoo.hookspecs import API_VERSION, CHANGES, HOOKS, hookimpl, hookspec
from genzoo.isolation import TooSlowError, deadline, describe, isolated
from genzoo.names import OFFICIAL
from genzoo.registry import Registry, load_registry, warn_broken

ROOT = Path(genzoo.__file__).resolve().parent.parent
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\n\r\tline two \u202eesrever\u200b"

HEAD = """
import genzoo
from genzoo import Card, Family
genzoo_api = 2
def card(name, **more):
    return Card(name=name, family=Family.IMPLICIT, model="nowhere:Net", **more)
"""
GOOD = """
@genzoo.hookimpl
def genzoo_cards():
    return [card("{name}")]
"""
HOOK = "@genzoo.hookimpl\n"

# name of the fault: (source after HEAD, what the reason must say)
FAULTS: dict[str, tuple[str, str]] = {
    "import-error": (
        "import no_such_package_anywhere",
        "ModuleNotFoundError: No module named 'no_such_package_anywhere'",
    ),
    "syntax-error": ("def broken(:\n    pass", "SyntaxError"),
    "raises": ("raise ValueError('boom')", "ValueError: boom"),
    "exits-0": ("raise SystemExit(0)", "tried to end the program (SystemExit: 0)"),
    "exits-in-hook": (HOOK + "def genzoo_cards():\n    import sys; sys.exit(0)", "tried to end the program"),
    "base-exception": ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
    "generator-exit": ("raise GeneratorExit", "GeneratorExit"),
    "error-in-str": ("class Mean(Exception):\n    def __str__(self): raise RuntimeError\nraise Mean", "Mean"),
    "recursion": ("def deep(): return deep()\ndeep()", "RecursionError"),
    "no-hook": ("x = 1", "no hook genzoo_cards"),
    "no-mark": ("def genzoo_cards():\n    return []", "lacks its mark — write @genzoo.hookimpl"),
    "misspelt": (
        GOOD.format(name="ok-1") + HOOK + "def genzoo_dataset():\n    return {}",
        "did you mean 'genzoo_datasets'?",
    ),
    "misspelt-only": (HOOK + "def genzoo_card():\n    return []", "did you mean 'genzoo_cards'?"),
    "signature": (HOOK + "def genzoo_cards(config):\n    return []", "wrong signature: genzoo_cards(config)"),
    "signature-keyword": (HOOK + "def genzoo_cards(*, config):\n    return []", "TypeError"),
    "returns-none": (HOOK + "def genzoo_cards():\n    pass", "must return a list of genzoo.Card, not None"),
    "returns-number": (
        HOOK + "def genzoo_cards():\n    return 3",
        "must return a list of genzoo.Card, not 3",
    ),
    "returns-text": (
        HOOK + "def genzoo_cards():\n    return 'dcgan'",
        "must return a list of genzoo.Card, not 'dcgan'",
    ),
    "returns-card": (
        HOOK + "def genzoo_cards():\n    return card('one')",
        "must return a list of genzoo.Card, not <Card one",
    ),
    "returns-mapping": (HOOK + "def genzoo_cards():\n    return {'a': card('a')}", "it holds a str: 'a'"),
    "returns-coroutine": (HOOK + "async def genzoo_cards():\n    return []", "asynchronous"),
    "half-way": (
        HOOK + "def genzoo_cards():\n    yield card('half')\n    raise OSError('half way')",
        "OSError: half way",
    ),
    "endless": (
        HOOK + "def genzoo_cards():\n    i = 0\n    while True:\n        i += 1; yield card(f'x{i}')",
        "more than 10000",
    ),
    "bad-name": (HOOK + "def genzoo_cards():\n    return [card('Bad Name')]", "must match"),
    "device-name": (HOOK + "def genzoo_cards():\n    return [card('nul.x')]", "device name on Windows"),
    "escape-name": (HOOK + "def genzoo_cards():\n    return [card('\\x1b[31mred\\n')]", "must match"),
    "twice": (
        HOOK + "def genzoo_cards():\n    return [card('same'), card('same')]",
        "gives the name 'same' after 'same'",
    ),
    "twice-folded": (
        HOOK + "def genzoo_cards():\n    return [card('a-b'), card('a.b')]",
        "gives the name 'a.b' after 'a-b'",
    ),
    "future": (
        "genzoo_api = 3\n" + GOOD.format(name="ok-2"),
        "plugin interface 3, and this genzoo knows 2 — pip install --upgrade genzoo",
    ),
    "future-text": ("genzoo_api = '1'\n" + GOOD.format(name="ok-3"), "genzoo_api must be a whole number"),
    "past": ("genzoo_api = 0\n" + GOOD.format(name="ok-4"), "genzoo_api must be a whole number"),
    "official": (
        GOOD.format(name="dcgan-bedrooms"),
        "claims the card 'dcgan-bedrooms', a name of genzoo-dcgan",
    ),
    "official-folded": (GOOD.format(name="vae_mnist"), "claims the card 'vae_mnist', a name of genzoo-vae"),
    "core-command": (
        GOOD.format(name="ok-5") + HOOK + "def genzoo_commands():\n    return {'pull': 'a:b'}",
        "'pull', a name of genzoo",
    ),
    "core-dataset": (
        GOOD.format(name="ok-6") + HOOK + "def genzoo_datasets():\n    return {'mnist': print}",
        "'mnist', a name of genzoo",
    ),
    "core-dataset-dynamic": (
        GOOD.format(name="ok-15")
        + HOOK
        + "def genzoo_datasets():\n    return {'dynamic-binarized-mnist': print}",
        "'dynamic-binarized-mnist', a name of genzoo",
    ),
    "core-dataset-digits": (
        GOOD.format(name="ok-16") + HOOK + "def genzoo_datasets():\n    return {'binarized_digits': print}",
        "'binarized_digits', a name of genzoo",
    ),
    "command-type": (
        GOOD.format(name="ok-7") + HOOK + "def genzoo_commands():\n    return {'x': print}",
        "'x' must be a text 'module:attribute'",
    ),
    "command-eval": (
        GOOD.format(name="ok-8") + HOOK + "def genzoo_commands():\n    return {'x': 'os:system(1)'}",
        "'x' must be a text",
    ),
    "dataset-type": (
        GOOD.format(name="ok-9") + HOOK + "def genzoo_datasets():\n    return {'x': 'a:b'}",
        "'x' must be a function",
    ),
    "dataset-list": (
        GOOD.format(name="ok-10") + HOOK + "def genzoo_datasets():\n    return [print]",
        "must return a mapping of names",
    ),
    "metric-name": (
        GOOD.format(name="ok-11") + HOOK + "def genzoo_metrics():\n    return {'../x': 'a:b'}",
        "the name '../x' must match",
    ),
    "ledger-climbs": (
        GOOD.format(name="ok-12") + HOOK + "def genzoo_ledgers():\n    return ['pkg/../../zoo.toml']",
        "must name resources",
    ),
    "ledger-root": (
        GOOD.format(name="ok-13") + HOOK + "def genzoo_ledgers():\n    return ['/etc/zoo.toml']",
        "must name resources",
    ),
    "none-hook": (
        GOOD.format(name="ok-14") + HOOK + "def genzoo_metrics():\n    pass",
        "genzoo_metrics must return a mapping of names, not None",
    ),
    "a-class": (
        "class plugin:\n    @genzoo.hookimpl\n    def genzoo_cards(self): return []",
        "names the class plugin",
    ),
    "no-object": ("x = 1", "AttributeError"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "interrupts-in-hook": (
        HOOK + "def genzoo_cards():\n    raise KeyboardInterrupt('mine')",
        "KeyboardInterrupt: mine",
    ),
    "asks-back": (
        "from genzoo.registry import installed\ninstalled()",
        "asks for the models while it is being loaded",
    ),
    "hostile-text": (f"raise ValueError({HOSTILE!r})", "ValueError: "),
}
HANGS = {
    "sleep": "import time\nwhile True: time.sleep(60)",
    "busy": "while True: pass",
    "hook": HOOK + "def genzoo_cards():\n    import time\n    time.sleep(600)",
    "deaf": "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except Exception:\n        pass",
    "stubborn": "import time\ntry:\n    time.sleep(600)\nexcept:\n    time.sleep(600)",
    "swallows-all": (
        "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass"
    ),
    "ignores-alarm": "import signal, time\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\ntime.sleep(600)",
    "joins-a-thread": (
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(600,))\nt.start()\nt.join()"
    ),
}
ENDS = {  # the process itself
    "exits-at-once": "import os\nos._exit(0)",
    "aborts": "import os\nos.abort()",
    "kills": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
}
OBJECTS = {"a-class": ":plugin", "no-object": ":missing"}

NOISY = """
import os, sys, warnings
print("noise from print"); sys.__stdout__.write("noise from the real stdout")
os.write(1, b"noise from the descriptor"); os.system("echo noise from a child")
warnings.warn("noise from a warning")
warnings.warn("old", DeprecationWarning)
"""
CHECK = """
import json, sys
from genzoo.registry import installed, warn_broken
found = installed()
warn_broken(found); warn_broken(found)
print(json.dumps({"cards": {c.name: c.plugin for c in found.cards.values()}, "torch": "torch" in sys.modules,
                  "reports": [r._asdict() for r in found.reports]}))
"""


def install(
    folder: Path, distribution: str, source: str, entry: str | None = None, metadata: str | None = None
) -> None:
    """Lay down a distribution as pip does: a module, METADATA and entry_points.txt."""
    module = "mod_" + distribution.replace("-", "_")
    (folder / f"{module}.py").write_text(HEAD + source, encoding="utf-8")
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    about = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n" if metadata is None else metadata
    (info / "METADATA").write_text(about, encoding="utf-8")
    (info / "entry_points.txt").write_text(
        entry or f"[genzoo]\n{distribution} = {module}\n", encoding="utf-8"
    )


def run(folder: Path, **env: str) -> tuple[dict[str, Any], str]:
    """Ask a fresh Python what is installed in `folder`, and return its JSON and its stderr."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GENZOO_")}
    env = {**clean, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", **env}
    command = [sys.executable, "-W", "error", "-c", CHECK]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """All faults at once, between two plugins that are well and one that only talks."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "aaa-good", GOOD.format(name="good-first"))
    install(folder, "zzz-good", GOOD.format(name="good-last"))
    install(folder, "noisy", NOISY + GOOD.format(name="noisy"))
    for fault, (source, _) in FAULTS.items():
        entry = (
            f"[genzoo]\nill-{fault} = mod_ill_{fault.replace('-', '_')}{OBJECTS[fault]}\n"
            if fault in OBJECTS
            else None
        )
        install(folder, f"ill-{fault}", source, entry)
    return run(folder, GENZOO_PLUGIN_TIMEOUT="60")


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The plugins that never come back; apart, because their short deadline must not strike the others on a
    busy machine."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "zzz-good", GOOD.format(name="good-last"))
    for fault, source in {**HANGS, **ENDS}.items():
        install(folder, f"ill-{fault}", source)
    return run(folder, GENZOO_PLUGIN_TIMEOUT="0.5", GENZOO_CACHE=str(folder / "cache"))


class TestWard:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_each_fault_is_a_row_with_its_reason(self, ward: tuple[dict[str, Any], str], fault: str) -> None:
        row = next(row for row in ward[0]["reports"] if row["name"] == f"ill-{fault}")
        assert not row["loaded"]
        assert FAULTS[fault][1] in row["reason"]
        assert (row["distribution"], row["version"], row["cards"]) == (f"ill-{fault}", "1.0", [])
        assert row["reason"].isprintable()

    @pytest.mark.parametrize("fault", FAULTS)
    def test_each_fault_is_exactly_one_line_on_stderr(
        self, ward: tuple[dict[str, Any], str], fault: str
    ) -> None:
        lines = [line for line in ward[1].splitlines() if f"'ill-{fault}'" in line]
        assert len(lines) == 1
        assert lines[0].startswith(f"genzoo: plugin 'ill-{fault}' (ill-{fault} 1.0) is left out: ")
        assert lines[0].isprintable()

    def test_the_others_stay_usable_and_nothing_of_a_broken_one_is_left(
        self, ward: tuple[dict[str, Any], str]
    ) -> None:
        ours = {
            name: plugin
            for name, plugin in ward[0]["cards"].items()
            if plugin in ("aaa-good", "zzz-good", "noisy")
        }
        assert ours == {"good-first": "aaa-good", "good-last": "zzz-good", "noisy": "noisy"}
        assert not [plugin for plugin in ward[0]["cards"].values() if plugin.startswith("ill-")]

    def test_stderr_holds_nothing_else(self, ward: tuple[dict[str, Any], str]) -> None:
        lines = [line for line in ward[1].splitlines() if not line.startswith("genzoo: plugin ")]
        assert [line for line in lines if "noise from" not in line] == []

    def test_listing_never_imports_torch(self, ward: tuple[dict[str, Any], str]) -> None:
        assert ward[0]["torch"] is False

    def test_what_a_plugin_prints_goes_to_stderr(self, ward: tuple[dict[str, Any], str]) -> None:
        for source in ("print", "the real stdout", "the descriptor", "a child"):
            assert f"noise from {source}" in ward[1]
        assert "noise from a warning" not in ward[1]


class TestHangs:
    @pytest.mark.parametrize("fault", HANGS)
    def test_a_plugin_that_never_comes_back_is_left_behind(
        self, stuck: tuple[dict[str, Any], str], fault: str
    ) -> None:
        row = next(row for row in stuck[0]["reports"] if row["name"] == f"ill-{fault}")
        told = (
            "it did not load within 0.5 s — GENZOO_PLUGIN_TIMEOUT=SECONDS gives it longer, and genzoo "
            "plugins tries again"
        )
        assert row["reason"] == told and "good-last" in stuck[0]["cards"]

    @pytest.mark.parametrize("fault", ENDS)
    def test_a_plugin_that_ends_the_process_is_left_behind(
        self, stuck: tuple[dict[str, Any], str], fault: str
    ) -> None:
        row = next(row for row in stuck[0]["reports"] if row["name"] == f"ill-{fault}")
        assert "it ends the program while it is loaded (exit code " in row["reason"] and not row["loaded"]


OLD = """
from genzoo import Card, Family, Recipe, hookimpl
RECIPE = Recipe(data="digits", steps=4_000, batch_size=64, lr={"all": 2e-4}, a_key_of_interface_1=0.1)
@hookimpl
def genzoo_cards():
    return [Card(name="old", family=Family.IMPLICIT, model="nowhere:Net", recipe=RECIPE)]
"""
WELL = OLD.replace("RECIPE = ", "# ").replace(", recipe=RECIPE", "")  # imports nothing that has changed
OLD_WORDS = "it was made for plugin interface 1, and this genzoo needs 2 or later"
ADVICE = " — upgrade it, or run genzoo plugins to see what its author must change"


class TestInterface1:
    """A plugin of interface 1 is refused with what its author must change, however it meets this genzoo."""

    def lay(self, folder: Path, source: str, entry: str = "mod_old") -> None:
        install(folder, "old", "", entry=f"[genzoo]\nold = {entry}\n")
        (folder / "mod_old.py").write_text(source, encoding="utf-8")

    @pytest.mark.parametrize("says", ["", "genzoo_api = 1\n", "genzoo_api: int = 1\n", "x = 1\n"])
    def test_one_that_fails_on_a_name_that_has_changed(self, tmp_path: Path, says: str) -> None:
        self.lay(tmp_path, OLD + says)
        found, said = run(tmp_path, GENZOO_PLUGINS="old", GENZOO_CACHE=str(tmp_path / "cache"))
        (row,) = [row for row in found["reports"] if row["name"] == "old"]
        assert row["reason"].startswith(f"{OLD_WORDS} (its import ends with TypeError: ")
        assert row["reason"].endswith(ADVICE) and tuple(row["changes"]) == CHANGES[2]
        assert len(said.splitlines()) == 1 and "genzoo plugins" in said

    def test_one_that_still_loads(self, tmp_path: Path) -> None:
        self.lay(tmp_path, WELL)
        found, _ = run(tmp_path, GENZOO_PLUGINS="old", GENZOO_CACHE=str(tmp_path / "cache"))
        (row,) = [row for row in found["reports"] if row["name"] == "old"]
        assert row["reason"] == OLD_WORDS + ADVICE and tuple(row["changes"]) == CHANGES[2]

    @pytest.mark.parametrize(
        "says", ["genzoo_api = 2\n", "from other import genzoo_api\n", "VERSION = 2\ngenzoo_api = VERSION\n"]
    )
    def test_the_fault_of_one_that_is_not_known_to_be_old_is_told_as_it_is(
        self, tmp_path: Path, says: str
    ) -> None:
        self.lay(tmp_path, OLD + says)
        found, _ = run(tmp_path, GENZOO_PLUGINS="old", GENZOO_CACHE=str(tmp_path / "cache"))
        (row,) = [row for row in found["reports"] if row["name"] == "old"]
        assert row["reason"].startswith("TypeError: ") and row["changes"] == []

    def test_a_module_inside_a_package_is_read_without_importing_it(self, tmp_path: Path) -> None:
        (tmp_path / "pack").mkdir()
        (tmp_path / "pack" / "__init__.py").write_text(OLD, encoding="utf-8")
        (tmp_path / "pack" / "inner.py").write_text("genzoo_api = 1", encoding="utf-8")
        install(tmp_path, "old", "", entry="[genzoo]\nold = pack.inner:plugin\n")
        found, _ = run(tmp_path, GENZOO_PLUGINS="old", GENZOO_CACHE=str(tmp_path / "cache"))
        (row,) = [row for row in found["reports"] if row["name"] == "old"]
        assert row["reason"].startswith(OLD_WORDS)

    def test_memory_of_the_genzoo_before_does_not_hide_it(self, tmp_path: Path) -> None:
        self.lay(tmp_path, WELL)
        code = (
            "from genzoo import hookspecs; hookspecs.API_VERSION = hookspecs.OLDEST_API = 1\n"
            "from genzoo import probing; probing.API_VERSION = 1\n"
            "from genzoo.registry import installed\n"
            "print(*(r.loaded for r in installed().reports if r.wanted))"
        )
        cache = str(tmp_path / "cache")
        assert ask(tmp_path, code, GENZOO_PLUGINS="old").stdout == "True\n"
        assert "old" in (tmp_path / "cache" / "plugins.json").read_text()
        found, _ = run(tmp_path, GENZOO_PLUGINS="old", GENZOO_CACHE=cache)
        assert [row["reason"][: len(OLD_WORDS)] for row in found["reports"] if row["wanted"]] == [OLD_WORDS]


class TestMetadata:
    def test_broken_metadata_is_named_and_hides_nobody(self, tmp_path: Path) -> None:
        install(tmp_path, "good", GOOD.format(name="good"))
        install(tmp_path, "garbled", GOOD.format(name="x1"), entry="[genzoo]\nthis line says nothing\n")
        install(tmp_path, "nameless", GOOD.format(name="x2"), metadata="")
        install(tmp_path, "malformed", GOOD.format(name="x3"), entry="[genzoo]\nmalformed = not a module!\n")
        install(tmp_path, "unrelated", "", entry="[console_scripts]\nalso broken\n")
        (tmp_path / "bare-1.0.dist-info").mkdir()
        found, _ = run(tmp_path)
        reasons = {row["distribution"]: row["reason"] for row in found["reports"] if not row["loaded"]}
        assert found["cards"]["good"] == "good"
        assert "entry_points.txt cannot be read" in reasons["garbled"]
        assert "must read 'package.module'" in reasons["malformed"]
        assert "no name" in reasons[""]
        assert "unrelated" not in reasons

    def test_binary_metadata(self, tmp_path: Path) -> None:
        install(tmp_path, "good", GOOD.format(name="good"))
        install(tmp_path, "genzoo-bytes", "")
        (tmp_path / "genzoo_bytes-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[genzoo]\n\x00")
        found, _ = run(tmp_path)
        assert found["cards"]["good"] == "good"
        assert [row["loaded"] for row in found["reports"] if row["distribution"] == "genzoo-bytes"] == [False]

    def test_one_by_one_finds_what_importlib_finds(self) -> None:
        both = [
            [(e.name, e.value) for e in found] for found in (discovery.discover(), discovery._one_by_one())
        ]
        assert sorted(both[0]) == sorted(both[1])

    def test_a_failing_finder_is_survived(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(**_: Any) -> Any:
            raise RuntimeError("a foreign finder")

        monkeypatch.setattr("importlib.metadata.entry_points", broken)
        monkeypatch.setattr("importlib.metadata.distributions", broken)
        assert discovery.discover() == []

    def test_a_second_copy_further_down_the_path_does_not_count(self, tmp_path: Path) -> None:
        first, second = tmp_path / "a", tmp_path / "b"
        for folder, name in ((first, "new"), (second, "old")):
            folder.mkdir()
            install(folder, "twin", GOOD.format(name=name))
        install(first, "garbled", "", entry="[other]\nnothing\n")  # forces the slow road
        found, _ = run(first, PYTHONPATH=os.pathsep.join(map(str, (first, second, ROOT))))
        assert [row["cards"] for row in found["reports"] if row["name"] == "twin"] == [["new"]]


@dataclass
class Dist:
    name: str
    version: str = "1.0"


class Entry:
    """An entry point that needs no installation."""

    def __init__(self, name: str, cards: Any = (), dist: str = "", **hooks: Any) -> None:
        self.name, self.value, self.group, self.dist = name, "module", "genzoo", Dist(dist or name)
        self.plugin = types.ModuleType(name)
        self.plugin.genzoo_api = API_VERSION  # type: ignore[attr-defined]
        answers = {"genzoo_cards": [make(c) for c in cards], **hooks}
        for hook, answer in answers.items():
            setattr(self.plugin, hook, hookimpl(lambda answer=answer: answer, specname=hook))

    def load(self) -> object:
        return self.plugin


class Raising(Entry):
    def load(self) -> object:
        raise self.plugin.error


def make(name: str, family: Family = Family.IMPLICIT) -> Card:
    return Card(name=name, family=family, model="nowhere:Net")


def reasons(found: Registry) -> dict[str, str]:
    return {report.distribution: report.reason for report in found.reports if not report.loaded}


class TestNames:
    def test_every_official_name_has_its_owner(self) -> None:
        for owner, names in OFFICIAL.items():
            found = load_registry([Entry("p", names, dist=owner)])
            assert set(found.cards) == set(names)
            assert {card.plugin for card in found.cards.values()} == {owner}
            for name in names:
                assert (
                    f"{name!r}, a name of {owner}"
                    in reasons(load_registry([Entry("stranger", [name, "mine"])]))["stranger"]
                )
        folded = [fold(name) for names in OFFICIAL.values() for name in names]
        assert len(folded) == len(set(folded)) == 48

    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize("spelling", ["genzoo-dcgan", "genzoo_dcgan", "Genzoo.DCGAN"])
    def test_a_stranger_is_refused_in_any_order(self, order: int, spelling: str) -> None:
        entries = [Entry("aaa", ["dcgan"]), Entry("dcgan", ["dcgan"], dist=spelling)][::order]
        found = load_registry(entries)
        assert found.cards["dcgan"].plugin == spelling
        assert list(reasons(found)) == ["aaa"]

    def test_an_official_plugin_may_not_take_another_official_name(self) -> None:
        assert (
            "a name of genzoo-vae"
            in reasons(load_registry([Entry("g", ["vae"], dist="genzoo-gan")]))["genzoo-gan"]
        )

    @given(st.randoms(use_true_random=False))
    def test_the_order_of_entry_points_never_matters(self, rng: random.Random) -> None:
        entries = [
            Entry("w", ["wgan", "shared"], dist="genzoo-wgan"),
            Entry("p", ["extra"], dist="genzoo-pixel"),
            Entry("b", ["shared.x", "b-only"]),
            Entry("a", ["shared-x"]),
            Entry("c", ["shared"]),
        ]
        rng.shuffle(entries)
        found = load_registry(entries)
        assert list(found.cards) == ["wgan", "extra", "shared", "shared-x"]
        assert [report.distribution for report in found.reports] == [
            "genzoo-pixel",
            "genzoo-wgan",
            "a",
            "b",
            "c",
        ]
        assert "'shared.x', and a has 'shared-x'" in reasons(found)["b"]
        assert "'shared', and genzoo-wgan has 'shared'" in reasons(found)["c"]

    def test_cards_come_in_the_order_of_the_taxonomy(self) -> None:
        entry = Entry("mine")
        answer = [
            make("b", Family.IMPLICIT),
            make("a", Family.IMPLICIT),
            make("z", Family.TRACTABLE),
            make("y", Family.AUTOENCODER),
        ]
        entry.plugin.genzoo_cards = hookimpl(lambda: answer, specname="genzoo_cards")
        assert list(load_registry([Entry("gan", ["gan"], dist="genzoo-gan"), entry]).cards) == [
            "gan",
            "z",
            "a",
            "b",
            "y",
        ]

    def test_author_cannot_fill_in_what_the_catalogue_fills_in(self) -> None:
        entry = Entry("mine")
        answer = [make("a").replace(plugin="genzoo-dcgan", has_weights=True)]
        entry.plugin.genzoo_cards = hookimpl(lambda: answer, specname="genzoo_cards")
        card = load_registry([entry]).cards["a"]
        assert (card.plugin, card.has_weights) == ("mine", False)

    @pytest.mark.parametrize(
        ("hook", "answer"),
        [
            ("genzoo_datasets", {"same": print}),
            ("genzoo_commands", {"same": "a:b"}),
            ("genzoo_metrics", {"same": "a:b"}),
            ("genzoo_trackers", {"same": "a:b"}),
            ("genzoo_ledgers", ["pkg/zoo.toml"]),
        ],
    )
    def test_other_names_clash_alike(self, hook: str, answer: Any) -> None:
        found = load_registry([Entry("b", ["b"], **{hook: answer}), Entry("a", ["a"], **{hook: answer})])
        assert list(found.cards) == ["a"]
        assert "and a has" in reasons(found)["b"]
        (provided,) = getattr(found, hook.removeprefix("genzoo_")).values()
        assert provided.plugin == "a"

    def test_different_kinds_share_no_names(self) -> None:
        found = load_registry(
            [
                Entry(
                    "a",
                    ["x"],
                    genzoo_datasets={"x": print},
                    genzoo_commands={"x": "a.b:c"},
                    genzoo_metrics={"x": "a:b"},
                )
            ]
        )
        assert reasons(found) == {}
        assert found.datasets["x"].value is print
        assert found.commands["x"].value == "a.b:c"
        assert found.reports[0].hooks == (
            "genzoo_cards",
            "genzoo_datasets",
            "genzoo_commands",
            "genzoo_metrics",
        )


class TestChoice:
    entries = (Entry("one", ["m1"], dist="dist-one"), Entry("two", ["m2"], dist="dist-two"))

    @pytest.mark.parametrize(
        ("allowed", "cards"),
        [
            (None, ["m1", "m2"]),
            ([], []),
            (["one"], ["m1"]),
            (["Dist_Two"], ["m2"]),
            (["one", "dist-two"], ["m1", "m2"]),
        ],
    )
    def test_allowed(self, allowed: list[str] | None, cards: list[str]) -> None:
        assert list(load_registry(self.entries, allowed).cards) == cards

    def test_left_out_is_a_row_but_not_a_complaint(self) -> None:
        found = load_registry(self.entries, [])
        assert [(r.loaded, r.broken, r.reason) for r in found.reports] == [
            (False, False, "left out by GENZOO_PLUGINS")
        ] * 2
        out = io.StringIO()
        warn_broken(found, out)
        assert out.getvalue() == ""

    def test_left_out_is_not_imported(self) -> None:
        trap = Raising("trap")
        trap.plugin.error = KeyboardInterrupt()
        assert not load_registry([trap], []).cards

    def test_unknown_choice_is_named_with_a_suggestion(self) -> None:
        (row,) = [r for r in load_registry(self.entries, ["dist-tow", "one"]).reports if r.broken]
        assert row.name == "dist-tow"
        assert "did you mean 'dist-two'?" in row.reason

    @pytest.mark.parametrize(
        ("text", "cards"),
        [("", set()), (" , ", set()), ("good", {"good"}), ("other , good", {"good", "other"})],
    )
    def test_environment(self, tmp_path: Path, text: str, cards: set[str]) -> None:
        install(tmp_path, "good", GOOD.format(name="good"))
        install(tmp_path, "other", GOOD.format(name="other"))
        found, errors = run(tmp_path, GENZOO_PLUGINS=text)
        assert set(found["cards"]) == cards
        assert errors == ""

    @pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e9"])
    def test_timeout_must_be_seconds(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("GENZOO_PLUGIN_TIMEOUT", text)
        with pytest.raises(ArgumentError, match="GENZOO_PLUGIN_TIMEOUT must be a number of seconds"):
            registry._timeout()

    @pytest.mark.parametrize(("text", "seconds"), [("", 5.0), ("0", 0.0), ("1.5", 1.5)])
    def test_timeout(self, monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
        monkeypatch.setenv("GENZOO_PLUGIN_TIMEOUT", text)
        assert registry._timeout() == seconds


class TestFind:
    found = load_registry(
        [Entry("dcgan", ["dcgan", "dcgan-bedrooms"], dist="genzoo-dcgan"), Entry("x", ["my-net"])]
    )

    def test_exact(self) -> None:
        assert self.found.find("dcgan-bedrooms").name == "dcgan-bedrooms"

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("dcgan-bedroom", "dcgan-bedrooms"),
            ("DCGAN", "dcgan"),
            ("my.net", "my-net"),
            ("My_._-Net", "my-net"),
        ],
    )
    def test_near_names_are_suggested_and_never_taken(self, typed: str, meant: str) -> None:
        with pytest.raises(
            UnknownNameError, match=f"no model is called '{typed}'; did you mean '{meant}'.? — genzoo list"
        ):
            self.found.find(typed)

    def test_official_model_of_an_absent_plugin(self) -> None:
        with pytest.raises(
            UnknownNameError,
            match=r"'vae-mnist' comes with genzoo-vae, which is not installed — pip install -r .* checkout",
        ):
            self.found.find("vae-mnist")

    def test_official_model_of_a_broken_plugin(self) -> None:
        broken = Raising("vae", dist="genzoo-vae")
        broken.plugin.error = ImportError("no numpy")
        with pytest.raises(
            UnknownNameError, match="comes with genzoo-vae, and there: ImportError: no numpy — genzoo plugins"
        ):
            load_registry([broken]).find("vae-mnist")

    def test_official_model_that_its_plugin_does_not_have(self) -> None:
        with pytest.raises(
            UnknownNameError, match=r"comes with genzoo-dcgan, and there: version 1\.0 does not have it"
        ):
            self.found.find("dcgan-faces")

    @pytest.mark.parametrize("name", [None, 3, ["dcgan"], b"dcgan"])
    def test_not_a_text(self, name: Any) -> None:
        with pytest.raises(ArgumentError, match="must be a text"):
            self.found.find(name)

    @given(st.text(max_size=200))
    def test_any_text_is_found_or_refused_in_one_line(self, name: str) -> None:
        try:
            assert self.found.find(name).name == name
        except UnknownNameError as error:
            assert str(error).isprintable()

    def test_a_very_long_name_is_refused_quickly(self) -> None:
        start = time.process_time()
        with pytest.raises(UnknownNameError):
            self.found.find("dcgan" * 200_000)
        assert time.process_time() - start < 1


class TestRegistry:
    def test_cannot_be_changed(self) -> None:
        found = load_registry([Entry("a", ["a"])])
        with pytest.raises(TypeError):
            found.cards["b"] = make("b")  # type: ignore[index]
        with pytest.raises(AttributeError):
            found.reports = ()  # type: ignore[misc]

    def test_installed_is_loaded_once_and_can_be_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looks = []
        monkeypatch.setattr(registry, "discover", lambda: looks.append(1) or [Entry("a", ["a"])])
        monkeypatch.delenv("GENZOO_PLUGINS", raising=False)
        registry.installed.cache_clear()
        try:
            assert registry.installed() is registry.installed()
            assert looks == [1]
            registry.installed.cache_clear()
            assert list(registry.installed().cards) == ["a"]
            assert looks == [1, 1]
        finally:
            registry.installed.cache_clear()

    def test_ctrl_c_goes_through_and_leaves_everything_as_it_was(self) -> None:
        trap, before = Raising("trap"), (sys.stdout, list(warnings.filters), signal.getsignal(signal.SIGALRM))
        trap.load = lambda: os.kill(os.getpid(), signal.SIGINT) or time.sleep(5)  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            load_registry([trap])
        assert (sys.stdout, list(warnings.filters), signal.getsignal(signal.SIGALRM)) == before
        assert list(load_registry([Entry("a", ["a"])]).cards) == ["a"]

    def test_hostile_metadata_is_made_safe(self) -> None:
        found = load_registry(
            [Entry(HOSTILE, ["a"]), Entry("b", dist=HOSTILE), Entry("c", dist="c", genzoo_metrics=HOSTILE)]
        )
        for report in found.reports:
            assert all(
                text.isprintable()
                for text in (report.name, report.distribution, report.version, report.reason)
            )

    def test_hooks_may_come_from_an_object(self) -> None:
        class Plugin:
            genzoo_api = API_VERSION

            @hookimpl
            def genzoo_cards(self) -> list[Card]:
                return [make("from-object")]

        entry = Entry("object")
        entry.plugin = Plugin()  # type: ignore[assignment]
        assert list(load_registry([entry]).cards) == ["from-object"]

    def test_no_cards_is_fine(self) -> None:
        assert load_registry([Entry("only-data", genzoo_datasets={"d": print})]).reports[0].loaded

    def test_threads_wait_for_each_other(self) -> None:
        stdout, results = sys.stdout, []
        entries = [Entry(f"p{i}", [f"m{i}"]) for i in range(20)]
        threads = [
            threading.Thread(target=lambda: results.append(len(load_registry(entries).cards)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [20] * 8
        assert sys.stdout is stdout

    def test_warn_broken_says_it_once(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(registry, "_told", set())
        found = load_registry([Entry("bad", ["dcgan"]), Entry("good", ["good"])])
        warn_broken(found)
        warn_broken(load_registry([Entry("bad", ["dcgan"])]))
        out, err = capsys.readouterr()
        assert out == ""
        assert err == (
            "genzoo: plugin 'bad' (bad 1.0) is left out: it claims the card 'dcgan', a name of "
            "genzoo-dcgan — "
            "its author must choose another name\n"
        )

    @pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
    def test_of_torchruns_processes_one_says_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str, lines: int
    ) -> None:
        monkeypatch.setattr(registry, "_told", set())
        monkeypatch.setenv("RANK", rank)
        warn_broken(load_registry([Entry("bad", ["dcgan"])]))
        assert capsys.readouterr().err.count("\n") == lines

    def test_a_closed_stderr_is_no_traceback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "_told", set())
        closed = io.StringIO()
        closed.close()
        warn_broken(load_registry([Entry("bad", ["dcgan"])]), closed)


class TestIsolation:
    def test_deadline_is_silent_where_the_alarm_is_taken(self) -> None:
        previous = signal.signal(signal.SIGALRM, lambda *_: None)
        try:
            with deadline(0.01):
                time.sleep(0.05)
        finally:
            signal.signal(signal.SIGALRM, previous)

    def test_deadline_is_silent_in_a_thread(self) -> None:
        seen: list[str] = []

        def work() -> None:
            with deadline(0.01):
                time.sleep(0.05)
                seen.append("done")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == ["done"]

    def test_deadline_rings_and_puts_the_alarm_back(self) -> None:
        with pytest.raises(TooSlowError), deadline(0.05):
            time.sleep(30)
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)

    def test_stdout_comes_back_with_what_was_written_before(self, capfd: pytest.CaptureFixture[str]) -> None:
        print("before")
        with isolated():
            print("inside")
            os.write(1, b"inside too\n")
        print("after")
        out, err = capfd.readouterr()
        assert out == "before\nafter\n"
        assert sorted(err.split("\n")) == ["", "inside", "inside too"]

    def test_without_standard_streams(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for stream in ("stdout", "stderr", "__stdout__", "__stderr__"):
            monkeypatch.setattr(sys, stream, None)
        with isolated():
            print("nobody listens")

    def test_describe_survives_an_error_that_cannot_be_read(self) -> None:
        class MeanError(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        assert describe(MeanError()) == "MeanError"
        assert describe(PluginError("a", "b")) == "a — b"
        assert describe(ValueError(HOSTILE)).isprintable()


class TestHookspecs:
    def test_specs_and_marks(self) -> None:
        from genzoo import hookspecs

        assert API_VERSION == 2
        assert [name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "genzoo_spec")] == list(
            HOOKS
        )
        assert genzoo.hookimpl is hookimpl
        assert hookspec.project_name == hookimpl.project_name == "genzoo"
        for name in HOOKS:
            spec = getattr(hookspecs, name)
            assert spec.__doc__
            assert len(spec()) == 0

    def test_the_example_of_the_docstring_is_a_plugin(self) -> None:
        from genzoo import hookspecs

        source = textwrap.dedent(
            (hookspecs.__doc__ or "").partition("at its top:\n")[2].partition("\nAn implementation")[0]
        )
        entry = Entry("mine")
        entry.plugin = types.ModuleType("mine")
        exec(source, {"genzoo": genzoo}, vars(entry.plugin))  # noqa: S102 - our own docstring
        assert list(load_registry([entry]).cards) == ["mine"]


CHANGES_ALL = """
import locale, os, random, signal, sys, torch
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
torch.manual_seed(5)
random.seed(5)
os.chdir("/")
os.umask(0o077)
sys.setrecursionlimit(5000)
sys.excepthook = print
signal.signal(signal.SIGTERM, signal.SIG_IGN)
locale.setlocale(locale.LC_ALL, "C")
"""
STATE = """
import locale, os, random, signal, sys, torch
torch.set_num_threads(2)
def state():
    mask = os.umask(0); os.umask(mask)
    return (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(), torch.random.get_rng_state().tolist(),
            random.getstate(), os.getcwd(), mask, sys.getrecursionlimit(), sys.excepthook,
            signal.getsignal(signal.SIGTERM), locale.setlocale(locale.LC_ALL))
before = state()
from genzoo.registry import installed
found = installed()
after = state()
print([i for i, (a, b) in enumerate(zip(before, after)) if a != b], sorted(found.cards))
"""


def ask(folder: Path, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GENZOO_")}
    env = {**clean, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "GENZOO_CACHE": str(folder / "cache"), **env}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, encoding="utf-8"
    )


class TestProcess:
    @pytest.mark.parametrize("end", ["raise ValueError('refused')", GOOD.format(name="well")])
    def test_a_plugin_leaves_the_process_as_it_was(self, tmp_path: Path, end: str) -> None:
        install(tmp_path, "changes-all", CHANGES_ALL + end)
        done = ask(tmp_path, STATE, GENZOO_PLUGINS="changes-all", GENZOO_PLUGIN_TIMEOUT="60")
        assert done.stdout.strip() == ("[] []" if "refused" in end else "[] ['well']"), done.stderr

    def test_torch_that_a_plugin_imports_first_begins_with_its_own_defaults(self, tmp_path: Path) -> None:
        install(tmp_path, "changes-all", CHANGES_ALL + "raise ValueError('refused')")
        code = (
            "from genzoo.registry import installed; installed(); import torch; "
            "print(torch.get_default_dtype(), torch.is_grad_enabled())"
        )
        done = ask(tmp_path, code, GENZOO_PLUGINS="changes-all", GENZOO_PLUGIN_TIMEOUT="60")
        assert done.stdout.strip() == "torch.float32 True", done.stderr

    def test_a_thread_that_a_plugin_leaves_behind_is_not_waited_for(self, tmp_path: Path) -> None:
        source = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
        install(tmp_path, "threads", source + GOOD.format(name="t"))
        done = ask(
            tmp_path,
            "import sys; sys.argv[1:] = ['list']; import runpy; runpy.run_module('genzoo', "
            "run_name='__main__')",
        )
        assert done.returncode == 0 and "\nt " in done.stdout

    def test_one_that_hangs_is_named_remembered_and_tried_again(self, tmp_path: Path) -> None:
        install(
            tmp_path, "slow", "import os, time\nopen(os.environ['TRACE'], 'a').write('x')\ntime.sleep(600)"
        )
        trace = tmp_path / "trace"
        code = (
            "from genzoo import registry; registry.TIMEOUT = 2.5; print([r.reason for r in "
            "registry.%s().reports if r.wanted])"
        )
        chosen = {"GENZOO_PLUGINS": "slow", "TRACE": str(trace)}
        first = ask(tmp_path, code % "installed", **chosen)
        assert "did not load within 2.5 s" in first.stdout
        assert first.stderr == "genzoo: still loading the plugin 'slow' of slow 1.0 …\n"
        again = ask(tmp_path, code % "installed", **chosen)
        assert again.stdout == first.stdout and again.stderr == "" and trace.read_text() == "x"
        ask(tmp_path, code % "look_again", **chosen)
        assert trace.read_text() == "xx"
        (tmp_path / "mod_slow.py").write_text(HEAD + GOOD.format(name="mended"), encoding="utf-8")
        assert ask(tmp_path, code % "installed", **chosen).stdout == "['']\n"

    def test_completion_does_not_wait(self, tmp_path: Path) -> None:
        install(tmp_path, "aaa-slow", "import time\ntime.sleep(600)")
        install(tmp_path, "bbb-good", GOOD.format(name="good"))
        code = "from genzoo.registry import installed; print(sorted(installed().cards))"
        chosen = {"GENZOO_PLUGINS": "aaa-slow,bbb-good", "_GENZOO_COMPLETE": "bash_complete"}
        begun = time.monotonic()
        assert ask(tmp_path, code, **chosen).stdout == "[]\n"
        # of which one second is waiting, whatever else this machine does
        assert time.monotonic() - begun < 20
        ask(tmp_path, code, GENZOO_PLUGINS="bbb-good")
        assert ask(tmp_path, code, **chosen).stdout == "['good']\n"

    @pytest.mark.parametrize(
        ("wanted", "words"),
        [
            ("genzoo>=99", "it requires genzoo>=99, and this is genzoo"),
            ("Genzoo (<0.1)", "it requires genzoo<0.1"),
            ("genzoo>=0.0.1", ""),
            ("genzoo>=99 ; extra == 'test'", ""),
            ("genzoo-dcgan>=99", ""),
            ("genzoo>=", ""),
        ],
    )
    def test_the_genzoo_that_a_plugin_asks_for(self, tmp_path: Path, wanted: str, words: str) -> None:
        about = f"Metadata-Version: 2.1\nName: asks\nVersion: 1.0\nRequires-Dist: {wanted}\n"
        install(tmp_path, "asks", GOOD.format(name="asked"), metadata=about)
        code = (
            "from genzoo.registry import installed; print(*(r.reason for r in installed().reports if "
            "r.wanted))"
        )
        reason = ask(tmp_path, code, GENZOO_PLUGINS="asks").stdout.strip()
        assert words in reason if words else reason == ""

    @pytest.mark.parametrize(
        "wanted",
        [
            "genzoo",
            "Genzoo",
            "genzoo>=0.1",
            "genzoo >= 0.1.0",
            "genzoo<0.2,>=0.1",
            "genzoo>=0.1,<0.1",
            "genzoo>=0.10",
            "genzoo<0.10",
            "genzoo>=1",
            "genzoo<0.1.0",
            "genzoo<0.1.0.1",
            "genzoo>=0.1.0.1",
            "genzoo>=0.1rc1",
            "genzoo==0.1.*",
            "genzoo[extra]>=0.1",
            "genzoo>=0.1; python_version > '3'",
            "genzoo-dcgan>=0.1",
        ],
    )
    @pytest.mark.parametrize("version", ["0.1.0", "0.10", "1.0", "0.2.0rc1", "0.1.0+local"])
    def test_what_is_plainly_met_is_met(
        self, monkeypatch: pytest.MonkeyPatch, wanted: str, version: str
    ) -> None:
        monkeypatch.setattr(discovery, "__version__", version)
        asked = Requirement(wanted)
        met = fold(asked.name) == "genzoo" and asked.specifier.contains(version, prereleases=True)
        plain = version.replace(".", "").isdigit() and set(wanted) <= set("Ggenzoo0123456789.,<>= ")
        assert discovery._plainly_met(wanted) == (met and plain)

    def test_the_bounds_of_official_plugins_need_no_packaging(self) -> None:
        code = (
            "import sys; from genzoo.registry import installed; installed()\n"
            "print('packaging' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.stdout == "False\n", done.stderr

    def test_a_cache_that_cannot_be_used_costs_only_time(self, tmp_path: Path) -> None:
        install(tmp_path, "good", GOOD.format(name="good"))
        (tmp_path / "cache").write_text("a file is in the way")
        code = "from genzoo.registry import installed; print(sorted(installed().cards))"
        assert ask(tmp_path, code, GENZOO_PLUGINS="good").stdout == "['good']\n"

    @pytest.mark.parametrize(
        "kept", [b"", b"[1]", b'{"a": 3}', b'{"a": [null, "x"]}', b"\xff", b"[" * 100_000]
    )
    def test_a_damaged_memory_is_forgotten(self, tmp_path: Path, kept: bytes) -> None:
        install(tmp_path, "good", GOOD.format(name="good"))
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "plugins.json").write_bytes(kept)
        code = "from genzoo.registry import installed; print(sorted(installed().cards))"
        assert ask(tmp_path, code, GENZOO_PLUGINS="good").stdout == "['good']\n"
