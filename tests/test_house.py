"""The house rules: floors, towers, sizes, words, and what no code here may do. Each rule is tried on planted
code as well."""

import ast
import inspect
import re
import statistics
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from genzoo import hookspecs

ROOT = Path(__file__).resolve().parent.parent


def words(text) -> tuple[str, ...]:
    return tuple(text.split())


# One line for each floor; imports lead to the same one or to one above it in this list.
FLOORS = tuple(
    words(line)
    for line in """
        errors synonyms whole schema metrics record request games recipe switches hacks condition manner card datasets homes names safe_open locks files runs show units notebook
        hookspecs discovery isolation probing loading images devices rng shares law plots process deadlines http
        registry losses layers
        ledger data
        hub models catalogue places confined
        zoo training explore evaluation experiments
        porting
        cli testing __main__
    """.strip().splitlines()  # noqa: E501
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
CATALOGUE = words(
    """
    errors synonyms whole schema metrics record request games recipe switches hacks condition manner card
    datasets homes names safe_open locks files hookspecs discovery isolation probing loading deadlines http
    registry ledger hub catalogue places show notebook runs
    """
)
HEAVY = ("torch", "numpy", "PIL", "safetensors.torch")
DOOR = ("card", "condition", "errors", "games", "recipe")  # what `import genzoo` may load at once

# What a plugin may use: ours take no door that a stranger's has not.
PUBLIC_FACE = (
    "genzoo",
    "genzoo.condition",
    "genzoo.data",
    "genzoo.data.flowers",
    "genzoo.datasets",
    "genzoo.devices",
    "genzoo.errors",
    "genzoo.evaluation",
    "genzoo.evaluation.measures",
    "genzoo.games",
    "genzoo.images",
    "genzoo.layers",
    "genzoo.losses",
    "genzoo.models",
    "genzoo.rng",
    "genzoo.runs",
    "genzoo.schema",
    "genzoo.shares",
    "genzoo.testing",
    "genzoo.training",
    "genzoo.training.augment",
    "genzoo.training.players",
)

MODULE_LINES, FUNCTION_LINES, DEPTH = 250, 40, 3
# who may import a module by a text: the bridge, lazy doors, and what a plugin's hooks and recipes name
BY_NAME = {
    "genzoo.training.own",
    "genzoo",
    "genzoo.card",
    "genzoo.cli.program",
    "genzoo.isolation",
    "genzoo.testing",
}
FORBIDDEN_IMPORTS = (
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "torchvision",
)
FORBIDDEN_CALLS = (
    "torch.load",
    "eval",
    "exec",
    "__import__",
    "yaml.load",
    "yaml.unsafe_load",
    "pickle.load",
    "pickle.loads",
    "runpy.run_path",
)
# The one place that reads what torch.save wrote: restricted, and in a process of its own that is confined.
READER = "genzoo.confined.child"
RESTRICTED = "torch.load(io.BytesIO(blob), map_location='cpu', weights_only=True)"
RAISING = ("exists", "is_file", "is_dir", "is_symlink", "is_fifo", "is_socket", "is_mount")  # of pathlib
DATA_THAT_RUNS = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".npy", ".so", ".pyd")


@dataclass(frozen=True)
class Source:
    """One file of Python."""

    name: str  # genzoo.models.model; a package goes by its own name
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    def imports(self, eager=False) -> Iterator[str]:
        """Yield the dotted name of everything imported, anywhere in the file, or (eager) only when it is
        loaded."""
        for node in self._eager(self.tree) if eager else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{self.name}: relative imports hide the floor they lead to"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def _eager(self, node) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            if not checking and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                yield child
                yield from self._eager(child)

    def functions(self) -> Iterator[ast.FunctionDef]:
        yield from (
            node for node in ast.walk(self.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )

    def code_lines(self, node=None) -> int:
        """Return the lines of `node` (None: the file) that are code: no blank ones, comments or
        docstrings."""
        top = node or self.tree
        texts = {
            line
            for inner in ast.walk(top)
            if isinstance(inner, ast.Expr)
            and isinstance(inner.value, ast.Constant)
            and isinstance(inner.value.value, str)
            for line in range(inner.lineno, inner.end_lineno + 1)
        }
        first, last = (node.lineno, node.end_lineno) if node is not None else (1, len(self.text.splitlines()))
        lines = list(enumerate(self.text.splitlines(), 1))[first - 1 : last]
        return sum(
            1
            for number, line in lines
            if number not in texts and line.strip() and not line.strip().startswith("#")
        )


def read(folder: Path, package: str) -> list[Source]:
    found = []
    for path in sorted((folder / package).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found.append(
            Source(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path.read_text("utf-8"))
        )
    return found


def plugins() -> list[Path]:
    return sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


CORE = read(ROOT, "genzoo")
PLUGINS = [source for folder in plugins() for source in read(folder, folder.name.replace("-", "_"))]
TESTS = [
    Source(path.name, path.read_text("utf-8"))
    for folder in (ROOT / "tests", *plugins())
    for path in folder.rglob("test*.py")
]
EVERYTHING = [*CORE, *PLUGINS]


def planted(text, name="genzoo.planted") -> Source:
    return Source(name, textwrap.dedent(text))


def targets(source, sources=CORE, eager=False) -> set[str]:
    """Return the modules of `sources` that `source` imports, each by its own name."""
    known = {other.name for other in sources}
    found = set()
    for name in source.imports(eager):
        while name and name not in known:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {"", source.name}


# Floors and circles


def upwards(sources) -> list[str]:
    """Return each import that leads to a higher floor, or through the door back into the house."""
    wrong = []
    for source in sources:
        if not source.room:
            continue
        for name in targets(source, sources):
            room = name.split(".")[1] if "." in name else ""
            if room and FLOOR[room] > FLOOR[source.room]:
                wrong.append(f"{source.name} imports {name}")
        wrong += [
            f"{source.name} imports {name}"
            for name in source.imports()
            if name in {f"genzoo.{word}" for word in _DOOR_NAMES}
        ]
    return wrong


_DOOR_NAMES = {
    "Card",
    "Family",
    "Recipe",
    "GenzooError",
    "hookimpl",
    "load",
    "create",
    "cards",
    "evaluate",
    "info",
    "list_models",
    "pull",
    "push",
    "train",
    "verify",
    "grid",
    "save_grid",
}


def circle(sources) -> list[str]:
    """Return the modules of a circle of imports, lazy ones included; empty if there is none."""
    graph = {source.name: targets(source, sources) - {"genzoo"} for source in sources if source.room}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_every_room_has_a_floor():
    assert {source.room for source in CORE if source.room} - set(FLOOR) == set()


def test_imports_lead_downwards():
    assert upwards(CORE) == []


def test_there_is_no_circle():
    assert circle(CORE) == []
    rooms = {}
    for source in CORE:
        rooms.setdefault(source.room, set()).update(
            name.split(".")[1] for name in targets(source) if "." in name
        )
    TopologicalSorter({room: others - {room} for room, others in rooms.items() if room}).prepare()


def test_an_import_upwards_or_in_a_circle_is_seen():
    upper = planted("def f():\n    from genzoo.zoo import load", "genzoo.card")
    assert upwards([upper, planted("", "genzoo.zoo")]) == ["genzoo.card imports genzoo.zoo"]
    assert upwards([planted("from genzoo import Card", "genzoo.cli")]) == ["genzoo.cli imports genzoo.Card"]
    a = planted("import genzoo.models.b", "genzoo.models.a")
    b = planted("def f():\n    import genzoo.models.a", "genzoo.models.b")
    assert set(circle([a, b])) == {"genzoo.models.a", "genzoo.models.b"}


def test_the_door_opens_onto_the_ground_floor_only():
    door = next(source for source in CORE if source.name == "genzoo")
    assert targets(door, eager=True) == {f"genzoo.{room}" for room in DOOR}


# Two towers


def heavy(source, words=HEAVY) -> list[str]:
    return [name for name in source.imports() if any(f"{name}.".startswith(f"{word}.") for word in words)]


def test_the_catalogue_tower_knows_no_tensors():
    """Not even lazily: the one bridge is Card.build, which imports by the name that a card gives."""
    found = {source.name: heavy(source) for source in CORE if source.room in CATALOGUE}
    assert {name: words for name, words in found.items() if words} == {}


def test_the_catalogue_tower_stands_alone():
    rooms = set(CATALOGUE)
    wrong = [
        f"{s.name} imports {t}"
        for s in CORE
        if s.room in rooms
        for t in targets(s)
        if t != "genzoo" and t.split(".")[1] not in rooms
    ]
    assert wrong == []


def test_a_lazy_import_of_torch_is_seen():
    assert heavy(planted("def f():\n    import torch.nn")) == ["torch.nn"]
    assert heavy(planted("import torchlight")) == []


def test_no_name_of_the_door_hides_a_module_and_none_is_hidden_by_one():
    """`import genzoo.card` gives the module, whatever was imported before."""
    code = (
        "import sys, types, genzoo, genzoo.card as module, genzoo.testing, genzoo.zoo\n"
        "assert isinstance(module, types.ModuleType) and module is genzoo.card\n"
        "wrong = [name for name in genzoo.__all__ if f'genzoo.{name}' in sys.modules]\n"
        "wrong += [name for name in genzoo.__all__ if isinstance(getattr(genzoo, name), types.ModuleType)]\n"
        "sys.exit(bool(wrong))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "code",
    [
        "import genzoo",
        "import genzoo.registry, genzoo.ledger, genzoo.hub",
        "import genzoo; genzoo.cards()",
        "import genzoo.testing",
        (
            "import genzoo.cli.program, genzoo.names, importlib; "
            "[importlib.import_module(f'genzoo.cli.{m}') for m in "
            "genzoo.names.COMMANDS.values()]"
        ),
    ],
)
def test_torch_stays_out(code):
    probe = (
        f"import sys; {code}; sys.exit(' '.join(sorted({{'torch', 'numpy', 'PIL'}} & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_an_official_plugin_does_not_import_torch():
    for source in PLUGINS:
        if "." not in source.name:
            done = subprocess.run(
                [sys.executable, "-c", f"import sys, {source.name}; sys.exit('torch' in sys.modules)"],
                check=False,
            )
            assert done.returncode == 0, f"import {source.name} brings torch"


# Plugins take no private door


def private(source) -> list[str]:
    """Return the imports of the core that are no part of its public face."""
    wrong = []
    for name in source.imports():
        if name.split(".")[0] != "genzoo" or name in PUBLIC_FACE:
            continue
        home, _, word = name.rpartition(".")
        open_ = home in PUBLIC_FACE or home.startswith(("genzoo.explore.", "genzoo.losses."))
        if not open_ or word.startswith("_"):
            wrong.append(name)
    return wrong


def test_official_plugins_use_the_public_face_only():
    assert {source.name: private(source) for source in PLUGINS if private(source)} == {}


def test_a_private_door_is_seen():
    assert private(planted("from genzoo.registry import installed")) == ["genzoo.registry.installed"]
    assert private(planted("from genzoo.models import _FINAL")) == ["genzoo.models._FINAL"]
    assert (
        private(planted("from genzoo.losses.minimax import value\nfrom genzoo import Card\nimport torch"))
        == []
    )


def acquaintances(sources, known) -> list[str]:
    """Return the imports of plugins that a plugin does not declare (`known`: its package -> packages), or
    that are private there."""
    names = {source.name.split(".")[0] for source in PLUGINS}
    wrong = []
    for source in sources:
        own = source.name.split(".")[0]
        for name in source.imports():
            other, *path = name.split(".")
            if other in names - {own} and (
                other not in known.get(own, ()) or any(word.startswith("_") for word in path)
            ):
                wrong.append(f"{source.name} imports {name}")
    return wrong


def test_plugins_know_only_those_that_they_declare():
    text = {
        folder.name.replace("-", "_"): (folder / "pyproject.toml").read_text("utf-8") for folder in plugins()
    }
    known = {
        name: [found.replace("-", "_") for found in re.findall(r'"(genzoo-\w+)>=', words)]
        for name, words in text.items()
    }
    assert acquaintances(PLUGINS, known) == []
    assert acquaintances(CORE, {}) == []


def test_an_undeclared_acquaintance_is_seen():
    source = planted("from genzoo_dcgan.dcgan import DCGAN, _norm", "genzoo_wgan.planted")
    assert acquaintances([source], {"genzoo_wgan": ["genzoo_dcgan"]}) == [
        "genzoo_wgan.planted imports genzoo_dcgan.dcgan._norm"
    ]
    assert len(acquaintances([source], {})) == 2
    assert acquaintances([planted("import genzoo_dcgan", "genzoo.planted")], {}) == [
        "genzoo.planted imports genzoo_dcgan"
    ]


# Public methods check, the underscored ones do not: who asks a model calls the public one


UNDERSCORED = {
    "_decode",
    "_discriminate",
    "_encode",
    "_features",
    "_latents",
    "_log_conditionals",
    "_log_prob",
    "_log_weights",
    "_logits",
    "_predict",
    "_sample",
}
INSIDE = (  # who needs gradients, or what comes before the checks; plugins call their own
    "genzoo.models",
    "genzoo.training",
    "genzoo.testing",
    "genzoo.explore",
    "genzoo.evaluation.classifier",  # it learns through `_encode`
    "genzoo.evaluation.integrals",
    "genzoo.evaluation.laws",
)


def trespasses(source) -> list[str]:
    """Return each use of an underscored method of a model other than `self` in a module outside INSIDE."""
    if any(f"{source.name}.".startswith(f"{name}.") for name in INSIDE):
        return []
    return [
        f"{source.name}: {ast.unparse(node)}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in UNDERSCORED
        and ast.unparse(node.value) not in ("self", "cls", "super()")
    ]


def test_only_named_modules_call_the_underscored_methods_of_a_model():
    assert [found for source in CORE for found in trespasses(source)] == []


def test_those_named_are_there_and_need_it():
    for name in INSIDE:
        sources = [s for s in CORE if f"{s.name}.".startswith(f"{name}.")]
        assert any(trespasses(planted(source.text)) for source in sources), name


@pytest.mark.parametrize(
    "code", ["def f(model):\n    return model._decode(z)", "decode = a.net._log_prob", "nets[0]._encode(x)"]
)
def test_a_call_of_an_underscored_method_is_seen(code):
    assert len(trespasses(planted(code, "genzoo.evaluation.planted"))) == 1
    assert trespasses(planted(code, "genzoo.explore.planted")) == []
    assert trespasses(planted("class A:\n    def f(self):\n        return self._decode(1)")) == []


# Sizes


def test_modules_stay_small():
    sizes = {source.name: source.code_lines() for source in EVERYTHING}
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES} == {}


def test_functions_stay_small():
    sizes = {f"{s.name}.{f.name}": s.code_lines(f) for s in EVERYTHING for f in s.functions()}
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES} == {}
    assert statistics.median(sizes.values()) <= 7
    assert statistics.quantiles(sizes.values(), n=10)[-1] < 30


NESTING = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
APART = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)  # counted for themselves


def nesting(node) -> int:
    """Return how many control structures lie inside each other in a function; an elif is none of its own."""
    deepest = 0
    for name, children in ast.iter_fields(node):
        inner = children if isinstance(children, list) else [children]
        for child in inner:
            if not isinstance(child, ast.AST) or isinstance(child, APART):
                continue
            chained = isinstance(node, ast.If) and name == "orelse" and isinstance(child, ast.If)
            own = isinstance(child, NESTING) and not (chained and len(inner) == 1)
            deepest = max(deepest, own + nesting(child))
    return deepest


def too_deep(sources) -> dict[str, int]:
    """Return the functions that nest deeper than DEPTH, and how deep."""
    found = {f"{s.name}.{f.name}": nesting(f) for s in sources for f in s.functions()}
    return {name: depth for name, depth in found.items() if depth > DEPTH}


def test_control_structures_are_nested_three_deep_at_most():
    assert too_deep(EVERYTHING) == {}


@pytest.mark.parametrize(
    ("body", "depth"),
    [
        ("for a in b:\n while c:\n  with d:\n   if e:\n    f()", 4),
        ("try:\n f()\nexcept E:\n for a in b:\n  if c:\n   with d: f()", 4),
        ("match a:\n case 1:\n  if b:\n   for c in d:\n    try: f()\n    finally: g()", 4),
        ("async with a:\n async for b in c:\n  if d: f()", 3),
        ("for a in b:\n if c: f()\n elif d: g()\n elif e: h()\n else:\n  with i: j()", 3),
        ("if a: f()\nelse:\n if b: g()\n for c in d: h()", 2),
        ("for a in b:\n with c:\n  def g():\n   for d in e:\n    if f: h()", 2),
        ("return [a for b in c for d in e if f if g if h]", 0),
    ],
)
def test_nesting_is_counted(body, depth):
    source = planted(f"async def f():\n{textwrap.indent(body, ' ')}")
    assert nesting(next(source.functions())) == depth
    assert too_deep([source]) == ({"genzoo.planted.f": depth} if depth > DEPTH else {})


def test_lines_of_code_are_counted_without_words():
    source = planted('"""Doc.\n\nMore."""\n\n# comment\ndef f():\n    """Doc."""\n    return 1\n')
    assert source.code_lines() == 2
    assert source.code_lines(next(source.functions())) == 2


def test_the_tests_are_at_least_as_long_as_the_code():
    assert sum(source.code_lines() for source in TESTS) >= sum(source.code_lines() for source in EVERYTHING)


@pytest.mark.parametrize("folder", plugins(), ids=lambda folder: folder.name)
def test_the_tests_of_a_plugin_are_at_least_as_long_as_its_code(folder):
    tests = [Source(path.name, path.read_text("utf-8")) for path in folder.rglob("tests/**/*.py")]
    code = [source for source in PLUGINS if source.name.partition(".")[0] == folder.name.replace("-", "_")]
    assert code and sum(s.code_lines() for s in tests) >= sum(s.code_lines() for s in code)


# Words


def bare(source) -> list[str]:
    """Return each function that lacks an annotation."""
    wrong = []
    for node in source.functions():
        arguments = [
            *node.args.posonlyargs,
            *node.args.args,
            *node.args.kwonlyargs,
            node.args.vararg,
            node.args.kwarg,
        ]
        missing = [
            a.arg
            for a in arguments
            if a is not None and a.annotation is None and a.arg not in ("self", "cls")
        ]
        if missing or node.returns is None:
            wrong.append(f"{source.name}.{node.name}: {', '.join(missing) or 'return'}")
    return wrong


def speechless(source) -> list[str]:
    """Return what is public and has no docstring: the module, its classes, functions and methods."""
    wrong = [] if ast.get_docstring(source.tree) else [source.name]

    def visit(node, path):
        for child in ast.iter_child_nodes(node):
            if isinstance(
                child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            ) and not child.name.startswith("_"):
                if not ast.get_docstring(child) and "overload" not in ast.dump(
                    ast.Module(child.decorator_list, [])
                ):
                    wrong.append(f"{path}.{child.name}")
                if isinstance(child, ast.ClassDef):
                    visit(child, f"{path}.{child.name}")
            elif isinstance(child, (ast.If, ast.Try, ast.With)):
                visit(child, path)

    visit(source.tree, source.name)
    return wrong


def test_everything_is_annotated():
    assert [line for source in EVERYTHING for line in bare(source)] == []
    assert bare(planted("def f(a, *, b: int): ...")) == ["genzoo.planted.f: a"]
    assert bare(planted("def f(a: int): ...")) == ["genzoo.planted.f: return"]


def test_everything_public_is_explained():
    assert [line for source in EVERYTHING for line in speechless(source)] == []
    assert speechless(planted("class A:\n    def f(self): ...\n    def _g(self): ...")) == [
        "genzoo.planted",
        "genzoo.planted.A",
        "genzoo.planted.A.f",
    ]


# What no code here does


def forbidden(source) -> list[str]:
    """Return what could run data (rule R3), hides failures, or was left undone."""
    wrong = [f"imports {name}" for name in source.imports() if name.split(".")[0] in FORBIDDEN_IMPORTS]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in FORBIDDEN_CALLS:
            if source.name == READER and ast.unparse(node) == RESTRICTED:
                continue
            wrong.append(f"calls {ast.unparse(node.func)}")
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("import_module")
            and source.name not in BY_NAME
        ):
            wrong.append("imports by a text")
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in RAISING
            and not node.args
        ):
            wrong.append(
                f"asks {ast.unparse(node.func)}(), which raises for a name that is too long; os.path does not"
            )
        elif (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and ast.unparse(node.value) != "False"
        ):
            wrong.append("allow_pickle")
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            wrong.append("a bare except")
        elif isinstance(node, ast.Assert):
            wrong.append("an assert, which python -O drops")
        elif isinstance(node, ast.Name) and node.id == "NotImplementedError":
            wrong.append("NotImplementedError")
    return [f"{source.name}: {words}" for words in wrong]


def test_no_code_runs_data_or_hides_failures():
    assert [line for source in EVERYTHING for line in forbidden(source)] == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "def f():\n    from pickle import loads",
        "torch.load('x')",
        "eval('1')",
        "exec('1')",
        "yaml.load(x)",
        "np.load(x, allow_pickle=True)",
        "np.load(x, allow_pickle=y)",
        "try:\n    f()\nexcept:\n    pass",
        "assert x",
        "path.exists()",
        "(a / b).is_dir()",
        "raise NotImplementedError",
        "importlib.import_module(name)",
        "__import__(name)",
        "import torchvision",
    ],
)
def test_each_of_these_is_seen(code):
    assert len(forbidden(planted(code))) == 1


def test_harmless_relatives_are_let_through():
    assert (
        forbidden(
            planted(
                "model.eval()\nnp.load(x, allow_pickle=False)\nsafetensors.torch.load(b)\nre.compile('x')"
            )
        )
        == []
    )


def test_the_one_reader_is_restricted_and_runs_apart():
    """Rule R3: one call of torch.load, in a module that nothing imports, behind the confinement."""
    calls = [
        (source.name, ast.unparse(node))
        for source in EVERYTHING
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("torch.load")
    ]
    assert calls == [(READER, RESTRICTED)]
    assert [source.name for source in EVERYTHING if READER in targets(source)] == []
    body = next(source for source in CORE if source.name == READER)
    first = next(f for f in body.functions() if f.name == "child")
    steps = [ast.unparse(node) for node in first.body]
    confined = next(i for i, step in enumerate(steps) if "confine(" in step and "import" not in step)
    assert [i for i, step in enumerate(steps) if "answer(" in step] == [confined + 1]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("torch.load(io.BytesIO(blob), map_location='cpu', weights_only=True)", "genzoo.confined.reading"),
        ("torch.load(io.BytesIO(blob), map_location='cpu', weights_only=False)", READER),
        ("torch.load(io.BytesIO(blob), map_location='cpu')", READER),
    ],
)
def test_any_other_reader_is_seen(code, name):
    assert forbidden(planted(code, name)) == [f"{name}: calls torch.load"]


def test_nothing_is_left_undone():
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    assert [source.name for source in [*EVERYTHING, *TESTS] if marks.search(source.text)] == []


def test_no_data_that_runs_lies_among_the_files():
    folders = [ROOT / "genzoo", *(folder / folder.name.replace("-", "_") for folder in plugins())]
    found = [path for folder in folders for path in folder.rglob("*") if path.suffix in DATA_THAT_RUNS]
    assert found == []


# Hooks and their documentation


def signatures() -> list[str]:
    """Return the line `def hook(...) -> ...:` of each hook, as it stands in hookspecs.py."""
    functions = {
        node.name: node
        for node in ast.parse(inspect.getsource(hookspecs)).body
        if isinstance(node, ast.FunctionDef)
    }
    return [
        f"def {name}({ast.unparse(functions[name].args)}) -> {ast.unparse(functions[name].returns)}:"
        for name in hookspecs.HOOKS
    ]


def test_every_hook_stands_in_the_guide_with_its_exact_signature():
    guide = (ROOT / "docs" / "writing-a-plugin.md").read_text("utf-8")
    assert [line for line in signatures() if line not in guide] == []


def test_the_guide_names_no_hook_that_is_not_there():
    guide = (ROOT / "docs" / "writing-a-plugin.md").read_text("utf-8")
    assert set(re.findall(r"\bdef (genzoo_\w+)", guide)) <= set(hookspecs.HOOKS)
    assert f"genzoo_api = {hookspecs.API_VERSION}" in guide


def test_every_hook_has_a_test():
    texts = [source.text for source in TESTS if source.name != "test_house.py"]
    assert [hook for hook in hookspecs.HOOKS if not any(hook in text for text in texts)] == []


def test_every_hook_is_listed():
    marked = {name for name, value in vars(hookspecs).items() if hasattr(value, "genzoo_spec")}
    assert marked == set(hookspecs.HOOKS)
