"""The program as such: exit codes, one line for every error, laziness, plugins' commands, and streams that go
away."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from shell import HOSTILE, TOYS, lay, one_line

import genzoo
from genzoo.cli import options
from genzoo.cli.context import read_pixel
from genzoo.cli.few_labels import read_counts
from genzoo.cli.program import SECTIONS, cli
from genzoo.errors import GenzooError
from genzoo.names import COMMANDS, CORE_COMMANDS


@pytest.fixture
def fails(monkeypatch, run):
    """Give a function that makes `genzoo list` raise."""

    def arrange(error):
        def fail():
            raise error

        monkeypatch.setattr("genzoo.cli.listing.list_command", click.Command("list", callback=fail))
        return run("list")

    return arrange


class TestExitCodes:
    def test_done(self, run):
        done = run("--version")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "genzoo 0.1.0\n", "")

    def test_without_arguments_the_help_is_shown(self, run):
        done = run()
        assert done.exit_code == 0
        assert "Usage: genzoo [OPTIONS] COMMAND" in done.stdout
        assert all(f"\n  {name} " in done.stdout for name in COMMANDS)

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (("lsit",), ("no command is called 'lsit'", "did you mean 'list'?", "genzoo --help")),
            (("list", "--tre"), ("--tre", "Did you mean", "--tree", "genzoo list --help")),
            (("--verison",), ("--verison", "--version")),
            (("info",), ("Missing argument 'NAME'", "genzoo info --help")),
            (("list", "more"), ("unexpected extra argument",)),
            (("list", "--family", "flow"), ("'flow'", "tractable")),
            (("sample", "toy-gan", "-n", "0"), ("'-n'", "0 is not in the range")),
            (("sample", "toy-gan", "-n", "-1"), ("'-n'", "-1")),
            (("sample", "toy-gan", "-n", "1.5"), ("'-n'", "'1.5' is not a whole number")),
            (("sample", "toy-gan", "-n", "True"), ("'-n'", "'True' is not a whole number")),
            (("sample", "toy-gan", "-n", ""), ("'-n'", "'' is not a whole number")),
            (("sample", "toy-gan", "--truncation", "x"), ("'--truncation'", "'x' is not a number")),
            (("sample", "toy-gan", "-n", "9" * 5000), ("'-n'",)),
            (("sample", "toy-gan", "--seed", "-1"), ("'--seed'", "-1")),
            (("sample", "toy-gan", "--seed", str(2**63)), ("'--seed'",)),
            (("sample", "toy-gan", "--columns", "0"), ("'--columns'",)),
            (("interpolate", "toy-gan", "--steps", "1"), ("'--steps'",)),
            (("train", "toy-gan", "--set", "batch_size"), ("'batch_size' must read key=value",)),
            (("train", "toy-gan", "--set", "=3"), ("must read key=value",)),
            (("train", "toy-gan", "--steps", "0"), ("'--steps'",)),
            (("pull",), ("give the names of models, or --all",)),
            (("pull", "toy-gan", "--all"), ("not both",)),
            (("completion", "tcsh"), ("'tcsh'", "bash")),
        ],
    )
    def test_wrong_usage(self, run, args, words):
        done = run(*args)
        assert (done.exit_code, done.stdout) == (2, "")
        assert one_line(done.stderr, *words)

    @pytest.mark.parametrize("command", ["info", "sample", "interpolate", "train", "eval", "pull", "verify"])
    def test_an_unknown_model_is_told_with_the_nearest(self, run, command):
        done = run(command, "toy-gam")
        assert (done.exit_code, done.stdout) == (1, "")
        assert one_line(
            done.stderr,
            "no model is called 'toy-gam'; did you mean 'toy-gan'?",
            "genzoo list shows every name",
        )

    def test_digits_of_other_scripts_are_no_numbers(self):
        """int("٤") is 4, and nobody who reads the command can tell."""
        tried = 0
        for name in COMMANDS:
            for option in cli.get_command(click.Context(cli), name).params:
                if isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType)):
                    for text in ("٤", "４2", "1²"):
                        with pytest.raises(click.BadParameter, match="digits 0 to 9"):
                            option.type_cast_value(click.Context(cli), text)
                    assert option.type_cast_value(click.Context(cli), "6") == 6
                    tried += 1
        assert tried > 20
        for read, text in ((read_counts, "10,٤"), (read_pixel, "٤,4")):
            with pytest.raises(click.BadParameter):
                read(None, None, text)

    def test_interrupted(self, fails):
        done = fails(KeyboardInterrupt())
        assert (done.exit_code, done.stderr) == (130, "genzoo: interrupted\n")

    def test_an_error_of_ours_is_its_line(self, fails):
        done = fails(GenzooError("this happened", "type that"))
        assert (done.exit_code, done.stderr) == (1, "genzoo: this happened — type that\n")

    def test_an_unexpected_error_is_one_line_too(self, fails):
        done = fails(RuntimeError(f"torch says\n{HOSTILE}"))
        assert done.exit_code == 1
        assert one_line(done.stderr, "internal error: RuntimeError: torch says", "--debug")

    @pytest.mark.parametrize(
        ("number", "words"), [(36, "the name is too long"), (13, "permission denied"), (40, "symbolic link")]
    )
    def test_what_the_system_says_of_a_file_is_no_internal_error(self, fails, number, words):
        done = fails(OSError(number, "as the system says it", "\x1b[31mplace"))
        assert done.exit_code == 1
        assert one_line(done.stderr, "cannot use", "place", words) and "internal error" not in done.stderr

    @pytest.mark.parametrize("variable", ["GENZOO_ZOO", "GENZOO_CACHE"])
    def test_a_name_of_the_environment_that_is_too_long(self, run, monkeypatch, tmp_path, variable):
        monkeypatch.setenv(variable, str(tmp_path / ("x" * 300)))
        done = run("pull", "--all")
        assert "internal error" not in done.stderr
        assert all(one_line(line) for line in done.stderr.splitlines() if "no installed" not in line)

    def test_an_error_that_cannot_be_shown(self, fails):
        class Mean(Exception):
            def __str__(self):
                raise ValueError

        done = fails(Mean())
        assert done.exit_code == 1
        assert one_line(done.stderr, "internal error: Mean")

    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you "
                "tried to allocate 9"
            ),
            RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
            RuntimeError("can't start new thread"),
        ],
    )
    def test_no_memory(self, fails, error):
        done = fails(error)
        assert done.exit_code == 1
        assert one_line(done.stderr, "not enough memory")

    @pytest.mark.parametrize(("code", "expected"), [(0, 0), (None, 0), (3, 3), ("a reason", 1)])
    def test_a_command_that_ends_the_program(self, fails, code, expected):
        done = fails(SystemExit(code))
        assert done.exit_code == expected
        assert done.stderr == ("a reason\n" if code == "a reason" else "")

    def test_hostile_arguments(self, run):
        for args in (
            ["info", HOSTILE],
            [HOSTILE],
            ["list", f"--{HOSTILE}"],
            ["sample", "toy-gan", "-n", HOSTILE],
            ["train", "toy-gan", "--set", HOSTILE],
        ):
            done = run(*args)
            assert done.exit_code in (1, 2)
            assert one_line(done.stderr)


class TestDebug:
    @pytest.mark.parametrize(
        "args", [("--debug", "info", "nobody"), ("info", "nobody", "--debug"), ("info", "--debug", "nobody")]
    )
    def test_the_traceback_is_shown_when_asked_for(self, run, args):
        done = run(*args)
        assert done.exit_code == 1
        assert "Traceback (most recent call last):" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("genzoo: no model is called 'nobody'")

    @pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
    def test_the_variable(self, run, monkeypatch, value, shown):
        monkeypatch.setenv("GENZOO_DEBUG", value)
        assert ("Traceback" in run("info", "nobody").stderr) is shown

    def test_a_hostile_text_in_a_traceback_is_harmless(self, run):
        assert all(line.isprintable() for line in run("--debug", "info", HOSTILE).stderr.splitlines())

    def test_a_foreign_error_with_a_hostile_text(self, fails, monkeypatch):
        monkeypatch.setenv("GENZOO_DEBUG", "1")
        done = fails(RuntimeError(HOSTILE))
        assert "Traceback" in done.stderr
        assert all(line.isprintable() for line in done.stderr.splitlines())


class TestLaziness:
    CHECK = """
import sys
from genzoo.cli.program import cli
code = cli.run(sys.argv[1:])
heavy = sorted({"torch", "numpy", "PIL", "huggingface_hub", "tqdm", "safetensors"} & set(sys.modules))
print("heavy:", heavy, file=sys.stderr)
raise SystemExit(code)
"""

    @pytest.mark.parametrize(
        "args",
        [
            ("list",),
            ("list", "--tree"),
            ("list", "--json"),
            ("info", "toy-gan"),
            ("plugins",),
            ("pull", "toy-gan"),
            ("--help",),
            ("sample", "--help"),
            ("train", "--help"),
            ("completion", "bash"),
        ],
    )
    def test_nothing_heavy_is_imported(self, site, args):
        done = site(*args, python=("-c", self.CHECK))
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith("heavy: []\n")

    def test_a_list_imports_only_what_it_uses(self, site):
        code = self.CHECK.replace(
            '"torch", "numpy"', '"_hashlib", "difflib", "filelock", "subprocess", "tomllib"'
        )
        site("list")  # loads the plugins in a child process, and remembers that they are well
        done = site("list", python=("-c", code))
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith("heavy: []\n")

    def test_a_wrong_option_is_told_before_torch_is_loaded(self, site):
        done = site("sample", "toy-gan", "-n", "0", python=("-c", self.CHECK))
        assert done.returncode == 2
        assert done.stderr.endswith("heavy: []\n")

    def test_a_command_is_imported_when_it_is_used(self, site):
        code = (
            "import sys; from genzoo.cli.program import cli; cli.run(['plugins'])\nassert "
            "'genzoo.cli.listing' not in sys.modules"
        )
        assert site(python=("-c", code)).returncode == 0

    def test_every_command_is_there_and_reserved(self):
        context = click.Context(cli)
        for name in COMMANDS:
            command = cli.get_command(context, name)
            assert command.name == name
            assert (
                command.help
                and len(command.get_short_help_str(60)) <= 60
                and not command.get_short_help_str(60).endswith("...")
            )
        written = {
            name
            for path in Path(options.__file__).parent.glob("*.py")
            for name in re.findall(r'^@command\("([a-z-]+)"', path.read_text("utf-8"), re.MULTILINE)
        }
        assert set(COMMANDS) == written and set(CORE_COMMANDS) == written | {"help", "version"}


VERBS = (
    "Add Classify Compare Create Download Draw Fill Generate Import Interpolate List Measure Print Publish "
    "Reconstruct Show Train Translate Vary Verify Write"
)
# What reads like a translation, and what to write: "Default: …", "is printed", "already exists", "again".
BANNED = (
    "all that is",
    "and told",
    "anew",
    "are told",
    "by default",
    "goes on",
    "in the way",
    "in what",
    "is told",
    "lie",
    "lies",
    "nothing is asked",
    "of those before",
    "of which",
    "what is left of",
    "whence",
    "whose features",
    "without it",
)


def stilted(text):
    """Return the banned phrases in `text`, wherever its lines break."""
    words = " ".join(text.split())
    return [phrase for phrase in BANNED if re.search(rf"\b{phrase}\b", words, re.IGNORECASE)]


def faults(short):
    """Return what is wrong with the one line that the help page has for a command."""
    found = [] if short.split()[0].rstrip(",") in VERBS.split() else ["no verb first"]
    found += [] if short.endswith(".") and not short.endswith("...") else ["no full stop"]
    room = 78 - 6 - max(map(len, COMMANDS))  # what click leaves of 80 columns
    return found + (["too long"] if len(short) > room else [])


def printed(source):
    """Yield the texts of a module that are no docstrings: what a command prints, or refuses with."""
    tree = ast.parse(source)
    bodies = [
        node.body for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
    ]
    docs = [id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


class TestWords:
    """The house style of what the command line says: the verb first and no translated syntax."""

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_has_one_line(self, name):
        assert faults(cli.get_command(click.Context(cli), name).get_short_help_str(1000)) == []

    @pytest.mark.parametrize(
        ("line", "fault"),
        [
            ("All that is known of one model.", "no verb first"),
            ("Show what is known about a model", "no full stop"),
            ("Show what is known...", "no full stop"),
            ("Show what is known about a model: paper, config, recipe and data.", "too long"),
        ],
    )
    def test_a_bad_line_is_seen(self, line, fault):
        assert faults(line) == [fault]

    def test_the_help_page_shows_each_line_whole_at_80_columns(self, run, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        page = run("--help").stdout.splitlines()
        for name in COMMANDS:
            short = cli.get_command(click.Context(cli), name).get_short_help_str(1000)
            assert f"  {name.ljust(max(map(len, COMMANDS)))}  {short}" in page
        assert max(map(len, page)) <= 80
        assert "    genzoo sample dcgan-bedrooms -n 16 -o bedrooms.png" in page

    def test_the_help_page_is_grouped_by_task(self, run):
        headings = re.findall(r"^(\w.*):$", run("--help").stdout, re.MULTILINE)
        assert headings == ["Options", *SECTIONS.values()]
        assert set(SECTIONS) <= set(COMMANDS) and next(iter(SECTIONS)) == next(iter(COMMANDS))

    def test_a_long_name_of_a_plugin_leaves_our_lines_whole(self, run, monkeypatch):
        plain = run("--help").stdout.partition("\nUse a model:")[2].partition("\n  Data goes")[0]
        provided = SimpleNamespace(plugin="long", value="long:command")
        monkeypatch.setattr("genzoo.cli.program._foreign", lambda: {"x" * 60: provided})
        page = run("--help").stdout
        assert plain in page and f"From plugins:\n  {'x' * 60}\n" in page and "Provided by long." in page

    @pytest.mark.parametrize("name", ["", *COMMANDS])
    def test_no_help_page_is_stilted(self, name):
        command = cli.get_command(click.Context(cli), name) if name else cli
        page = command.get_help(click.Context(command, info_name=name or "genzoo", terminal_width=80))
        assert stilted(page) == [] and "\\b" not in page and "\b" not in page

    def test_nothing_printed_is_stilted(self):
        modules = sorted((Path(genzoo.__file__).parent / "cli").glob("*.py"))
        texts = [(path.name, text) for path in modules for text in printed(path.read_text("utf-8"))]
        assert len(texts) > 500 and [(name, text) for name, text in texts if stilted(text)] == []

    @pytest.mark.parametrize(
        ("text", "phrases"),
        [
            ("Fetch and check weights, and tell where they lie.", ["lie"]),
            ("Without it one is drawn\n        and told.", ["and told", "without it"]),
            ("The .png to write. By\n  default NAME.png.", ["by default"]),
            ("something with that name is in the way", ["in the way"]),
            ("In what samples are compared", ["in what"]),
            ("Held-out images, and what is left of them in their codes.", ["what is left of"]),
            ("What a pixel sees of those before it.", ["of those before"]),
            ("Nothing is asked.", ["nothing is asked"]),
            ("All that is known of one model.", ["all that is"]),
            ("weights believed to be a newer client's", []),
        ],
    )
    def test_stilted_text_is_seen(self, text, phrases):
        assert stilted(text) == phrases
        assert list(printed(f'def f():\n    "a docstring"\n    note({text!r})')) == [text]

    def test_the_list_of_actions_keeps_its_lines(self, run):
        lines = run("cache", "--help").stdout.splitlines()
        actions = [
            line.split()[0] for line in lines if re.match(r"  (list|size|prune|verify|repair)  ", line)
        ]
        assert actions == ["list", "size", "prune", "verify", "repair"]


COMMAND_PLUGIN = (
    TOYS
    + """
@genzoo.hookimpl
def genzoo_commands():
    return {"greet": "greeting:greet", "broken": "no_such_module:x", "odd": "greeting:number",
            "leaves": "leaving:x"}
"""
)
GREETING = """
import click
print("noise while importing")
number = 3
@click.command()
@click.option("--fail", is_flag=True)
@click.argument("whom")
def greet(whom, fail):
    if fail:
        raise ValueError("greeting\\x1b[31m failed")
    click.echo(f"hello {whom}")
"""


class TestCommandsOfPlugins:
    @pytest.fixture
    def greeting(self, own_site):
        lay(own_site.packages, "greeter", COMMAND_PLUGIN)
        (own_site.packages / "greeting.py").write_text(GREETING)
        (own_site.packages / "leaving.py").write_text("raise SystemExit(0)")
        return own_site

    def test_it_runs(self, greeting):
        done = greeting("greet", "you")
        assert (done.returncode, done.stdout) == (0, "hello you\n")

    def test_it_is_in_the_help_without_being_imported(self, greeting):
        done = greeting("--help")
        assert (done.returncode, done.stderr) == (0, "")
        (greet,) = [line for line in done.stdout.splitlines() if line.startswith("  greet")]
        assert greet.split(maxsplit=1) == ["greet", "Provided by greeter."]
        assert done.stdout.index("\nExtend and maintain:") < done.stdout.index("\nFrom plugins:\n  broken ")
        assert "noise" not in done.stdout

    @pytest.mark.parametrize(
        ("args", "code", "words"),
        [
            (("broken",), 1, ("the command 'broken' of greeter cannot be loaded", "ModuleNotFoundError")),
            (("odd",), 1, ("is a int, not a click command",)),
            (("leaves",), 1, ("tried to end the program",)),
            (("greet",), 2, ("Missing argument 'WHOM'",)),
            (("greet", "you", "--fail"), 1, ("ValueError: greeting", "failed")),
            (("gret",), 2, ("did you mean 'greet'?",)),
        ],
    )
    def test_a_fault_is_one_line(self, greeting, args, code, words):
        done = greeting(*args)
        assert done.returncode == code
        assert one_line(done.stderr.splitlines()[-1], *words)
        assert "Traceback" not in done.stderr

    def test_it_cannot_replace_one_of_ours(self, monkeypatch, run):
        from genzoo import registry
        from genzoo.registry import Provided

        thief = SimpleNamespace(
            commands={"list": Provided("thief:list", "thief"), "mine": Provided("thief:mine", "thief")},
            reports=(),
        )
        monkeypatch.setattr(registry, "installed", lambda: thief)
        context = click.Context(cli)
        assert cli.list_commands(context) == [*COMMANDS, "mine"]
        assert cli.get_command(context, "list").help.startswith("List installed models")


class TestStreams:
    def test_a_broken_plugin_leaves_the_json_alone(self, own_site):
        lay(own_site.packages, "toy-box", TOYS)
        lay(own_site.packages, "ill", "print('noise')\nraise SystemExit(0)")
        lay(own_site.packages, "iller", "import no_such_module_anywhere")
        for args in (("list", "--json"), ("info", "coin", "--json")):
            done = own_site(*args)
            assert done.returncode == 0
            json.loads(done.stdout)
            lines = [line for line in done.stderr.splitlines() if line.startswith("genzoo: plugin ")]
            assert [line.split("'")[1] for line in lines] == ["ill", "iller"]
        states = {row["plugin"]: row["state"] for row in json.loads(own_site("plugins", "--json").stdout)}
        expected = {"toy-box": "loaded", "ill": "broken", "iller": "broken"}
        # whatever else is installed where the tests run
        assert {name: states[name] for name in expected} == expected

    @pytest.mark.skipif(os.name == "nt", reason="a pipe of the shell")
    @pytest.mark.parametrize(
        "args", [("list",), ("list", "--json"), ("--help",), ("completion", "zsh"), ("pull", "toy-gan")]
    )
    def test_a_reader_that_goes_away_is_no_error(self, site, args):
        read, write = os.pipe()
        os.close(read)
        try:
            process = site.start(*args, stdout=write)
        finally:
            os.close(write)
        _, err = process.communicate(timeout=300)
        assert "Traceback" not in err and "Exception ignored" not in err and "rror" not in err
        # the work is done; click gives up where it prints itself
        assert process.returncode == ("--help" in args)

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk to write to")
    def test_a_full_disk_under_stdout_is_told(self, site):
        with open("/dev/full", "w") as full:
            process = site.start("list", stdout=full)
            _, err = process.communicate(timeout=300)
        assert process.returncode == 1
        assert one_line(err, "cannot write to stdout: the disk is full")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk to write to")
    @pytest.mark.parametrize(
        "args", [("--help",), ("--version",), ("train", "--help"), ("list", "--json"), ("completion", "bash")]
    )
    def test_whatever_is_printed_to_a_full_disk(self, site, args):
        with open("/dev/full", "w") as full:
            process = site.start(*args, stdout=full)
            _, err = process.communicate(timeout=300)
        assert process.returncode == 1
        assert one_line(err, "the disk is full") and "internal error" not in err

    @pytest.mark.skipif(os.name == "nt", reason="a redirection of the shell")
    def test_closed_streams(self, site):
        for close in (">&-", "2>&-", ">&- 2>&-"):
            command = f"{sys.executable} -m genzoo list {close}"
            done = subprocess.run(
                ["sh", "-c", command], env=site.env, cwd=site.cwd, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, (close, done.stderr)
            assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
    def test_a_terminal_that_knows_few_letters(self, own_site, encoding):
        lay(own_site.packages, "toy-box", TOYS.replace("A toy", "Ein Spielzeug: 玩具 ≤ 3"))
        for args in (("list", "--tree"), ("list",), ("info", "toy-gan"), ("info", "nobody")):
            done = own_site(*args, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, encoding="latin-1")
            assert done.returncode == (1 if "nobody" in args else 0), done.stderr
            assert "Error" not in done.stderr

    def test_colours_are_for_terminals_that_want_them(self, run, monkeypatch):
        assert "\x1b[" in run("list", color=True).stdout
        assert "\x1b[" in run("info", "nobody", color=True).stderr
        assert "\x1b[" not in run("list").stdout
        for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
            with monkeypatch.context() as patch:
                patch.setenv(variable, value)
                assert "\x1b[" not in run("list", color=True).stdout
                assert "\x1b[" not in run("info", "nobody", color=True).stderr

    def test_a_wrong_setting_of_the_environment(self, site):
        done = site("list", env={"GENZOO_PLUGIN_TIMEOUT": "soon"})
        assert done.returncode == 1
        assert one_line(done.stderr, "GENZOO_PLUGIN_TIMEOUT")


class TestBrokenMachines:
    """What is wrong with the machine, not with the command, is one line, too."""

    FAULTS = (
        "OSError('libcudart.so.12: cannot open shared object file')",
        "ImportError('no symbol')",
        "RuntimeError('broken')",
    )

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("args", [("sample", "toy-gan"), ("train", "toy-gan"), ("eval", "coin")])
    def test_a_torch_that_cannot_be_imported(self, own_site, fault, args):
        lay(own_site.packages, "toy-box", TOYS)
        (own_site.packages / "torch").mkdir()
        (own_site.packages / "torch" / "__init__.py").write_text(f"raise {fault}")
        own_site("pull", "toy-gan")
        done = own_site(*args, env={"GENZOO_PLUGINS": "toy-box"})
        assert done.returncode == 1 and "internal error" not in done.stderr
        if args[0] != "eval":  # coin has no weights, which is told first
            assert one_line(done.stderr, "torch cannot be imported: ", fault.split("'")[1], "pip install")

    @pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder that somebody is in")
    def test_the_current_folder_is_gone(self, site):
        code = (
            "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); from genzoo.cli "
            "import main; main()"
        )
        done = site("sample", "toy-gan", python=("-c", code))
        assert done.returncode == 1 and one_line(done.stderr, "the current folder has been deleted")

    def test_interrupted_while_the_program_is_loaded(self, site):
        code = """
import sys
class Late:
    def find_spec(self, name, path=None, target=None):
        if name == "genzoo.cli.program":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Late())
from genzoo.cli import main
main()
"""
        done = site(python=("-c", code))
        assert (done.returncode, done.stderr) == (130, "genzoo: interrupted\n")

    def test_recursion(self, fails):
        done = fails(RecursionError("maximum recursion depth exceeded"))
        assert (
            done.exit_code == 1
            and one_line(done.stderr, "nested too deeply")
            and "internal error" not in done.stderr
        )

    def test_arguments_that_no_shell_can_give(self, run):
        for text in ("a\0b", "\ud800"):
            assert (done := run("sample", "toy-gan", "-o", text)).exit_code == 2
            assert one_line(done.stderr, "no command line can hold")

    @pytest.mark.skipif(os.name == "nt", reason="Unix finds a home by HOME")
    @pytest.mark.parametrize("home", [None, "/dev/null", "", "/nonexistent"])
    def test_no_home(self, site, home):
        env = {**site.env, "HOME": home or ""}
        for name in ("GENZOO_CACHE", "XDG_CACHE_HOME", *(["HOME"] if home is None else [])):
            env.pop(name, None)
        for args in (["list"], ["plugins"]):
            done = subprocess.run(
                [sys.executable, "-m", "genzoo", *args], env=env, cwd=site.cwd, capture_output=True, text=True
            )
            assert (
                done.returncode == 0
                and "Traceback" not in done.stderr
                and "internal error" not in done.stderr
            )


class TestLeaving:
    """The prompt exit skips the destruction of modules and nothing else."""

    CODE = """
import atexit, sys, threading, time
from genzoo.cli.program import leave
print("printed", end="")
class Late:
    def __del__(self):
        print("destroyed", file=sys.stderr)
late = Late()
atexit.register(print, " and handled")
{more}
leave({code})
"""

    def leave(self, site, code, more=""):
        return site(python=("-c", self.CODE.format(code=code, more=more)))

    def test_output_is_flushed_and_handlers_run(self, site):
        done = self.leave(site, 3)
        assert (done.returncode, done.stdout, done.stderr) == (3, "printed and handled\n", "")

    def test_a_thread_at_work_is_waited_for(self, site):
        work = "threading.Thread(target=lambda: (time.sleep(0.3), print(' worked', end=''))).start()"
        done = self.leave(site, 0, work)
        assert done.returncode == 0
        assert " worked" in done.stdout

    def test_the_collector_runs_again_where_work_is_long(self, site):
        code = (
            "import gc; gc.disable(); from genzoo.cli.options import collect_garbage; collect_garbage(); "
            "assert gc.isenabled() and gc.get_freeze_count()"
        )
        assert site(python=("-c", code)).returncode == 0


class TestCompletion:
    def complete(self, site, *words):
        env = {
            "_GENZOO_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["genzoo", *words]),
            "COMP_CWORD": str(len(words)),
        }
        done = site(env=env)
        assert (done.returncode, done.stderr) == (0, "")
        return [line.partition(",")[2] for line in done.stdout.split()]

    def test_commands_names_and_options(self, site):
        assert self.complete(site, "pl") == ["plugins"]
        assert self.complete(site, "info", "coi") == ["coin"] and self.complete(site, "info", "cod") == [
            "coder"
        ]
        assert self.complete(site, "pull", "coin", "toy") == ["toy-gan"]
        assert "--json" in self.complete(site, "list", "--j")
        assert self.complete(site, "nonsense", "x") == []

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_of_each_shell(self, run, shell):
        done = run("completion", shell)
        assert done.exit_code == 0
        assert f"_GENZOO_COMPLETE={shell}_complete" in done.stdout
        assert f"genzoo completion {shell}" in done.stderr

    def test_the_shell_of_the_person(self, run, monkeypatch):
        monkeypatch.setenv("SHELL", "/usr/bin/fish")
        assert "fish_complete" in run("completion").stdout
        monkeypatch.setenv("SHELL", "/bin/tcsh")
        assert run("completion").exit_code == 2


def test_help_pages_keep_their_words_where_python_strips_docstrings():
    code = """
import click
from genzoo.cli.program import cli
from genzoo.names import COMMANDS
context = click.Context(cli, info_name="genzoo")
print(" ".join(cli.help.split()))
for name in COMMANDS:
    print(name, "=", cli.get_command(context, name).help)
"""
    pages = [
        subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True).stdout
        for flags in ([], ["-OO"])
    ]
    assert pages[0] == pages[1] and "None" not in pages[1].split() and len(pages[1].split()) > 200
