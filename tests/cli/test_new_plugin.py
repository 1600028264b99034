"""`genzoo new-plugin`: what it writes is a plugin as it stands, from its tests to somebody else's samples."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from rooms import Room

from genzoo.card import Family
from genzoo.cli import new_plugin
from genzoo.cli.new_plugin import CONDITIONS, KINDS, LICENCES, render, words_of
from genzoo.files import sha256_of

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = [family.value for family in KINDS]
FILES = {
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".gitignore",
    "genzoo_my_gan/__init__.py",
    "genzoo_my_gan/my_gan.py",
    "genzoo_my_gan/py.typed",
    "tests/test_laws.py",
    "tests/test_training.py",
}


def written(folder):
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


class TestFolder:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_a_small_package_is_written(self, run, family):
        done = run("new-plugin", "my-gan", "--family", family)
        assert (done.exit_code, done.stdout) == (0, "genzoo-my-gan\n"), done.stderr
        assert (
            "pip install -e 'genzoo-my-gan[test]' && python -m pytest genzoo-my-gan; then: genzoo train "
            "my-gan"
        ) in done.stderr
        assert written("genzoo-my-gan") == FILES
        assert len(list(Path().iterdir())) == 1, "no draft is left"
        for path in Path("genzoo-my-gan").rglob("*.py"):
            assert "$" not in path.read_text("utf-8")
            ast.parse(path.read_text("utf-8"))

    def test_it_may_lie_anywhere(self, run, tmp_path):
        done = run("new-plugin", "genzoo-my.gan", "--family", "implicit", "-o", tmp_path / "deep" / "down")
        assert done.exit_code == 0
        assert written(tmp_path / "deep" / "down") == FILES
        assert 'name = "genzoo-my-gan"' in (tmp_path / "deep" / "down" / "pyproject.toml").read_text()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_its_model_may_take_labels(self, run, family):
        done = run("new-plugin", "my-gan", "--family", family, "--condition", "labels")
        assert (done.exit_code, done.stdout) == (0, "genzoo-my-gan\n"), done.stderr
        assert written("genzoo-my-gan") == FILES
        card = Path("genzoo-my-gan/genzoo_my_gan/__init__.py").read_text("utf-8")
        assert 'condition=Labels(tuple("0123456789"))' in card and "import Card, Family, Labels," in card
        assert "condition_type = Labels" in Path("genzoo-my-gan/genzoo_my_gan/my_gan.py").read_text("utf-8")
        assert "-n 16 --condition 7 -o" in Path("genzoo-my-gan/README.md").read_text("utf-8")
        for path in Path("genzoo-my-gan").rglob("*.py"):
            assert "$" not in path.read_text("utf-8")
            ast.parse(path.read_text("utf-8"))

    @pytest.mark.parametrize("family", FAMILIES)
    def test_without_it_nothing_speaks_of_labels(self, family):
        texts = render("my-gan", Family(family))
        assert not [path for path, text in texts.items() if "label" in text.lower() or "condition=" in text]

    def test_another_condition_is_refused(self, run):
        done = run("new-plugin", "my-gan", "--family", "implicit", "--condition", "smell")
        assert done.exit_code == 2 and "'smell' is not 'labels'" in done.stderr
        assert list(Path().iterdir()) == []

    @pytest.mark.parametrize("there", ["file", "folder", "link"])
    def test_what_is_there_stays(self, run, there):
        path = Path("genzoo-my-gan")
        {"file": path.touch, "folder": path.mkdir, "link": lambda: path.symlink_to("nowhere")}[there]()
        done = run("new-plugin", "my-gan", "--family", "implicit")
        assert done.exit_code == 1
        assert "a file or folder with that name already exists — choose another with --out" in done.stderr
        assert [entry.name for entry in Path().iterdir()] == ["genzoo-my-gan"]
        assert not path.is_dir() or not list(path.iterdir())

    def test_a_disk_that_fails_leaves_nothing(self, run, monkeypatch):
        def fail(self, *args, **kwargs):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(new_plugin.Path, "rename", fail)
        done = run("new-plugin", "my-gan", "--family", "implicit")
        assert (done.exit_code, list(Path().iterdir())) == (1, [])
        assert "the disk is full" in done.stderr


class TestName:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("My-GAN", "must match"),
            ("my gan", "must match"),
            ("../gan", "must match"),
            ("a/b", "must match"),
            ("", "must match"),
            ("é", "must match"),
            ("-gan", "must match"),
            ("a" * 65, "64"),
            ("nul", "device name"),
            ("class", "'class' is a Python keyword"),
            ("genzoo-lambda", "'lambda' is a Python keyword"),
            ("none", "'none' is a Python keyword"),
            ("3d", "'3d' does not begin with a letter"),
            ("genzoo", "belongs to genzoo itself"),
            ("dcgan", "belongs to genzoo-dcgan"),
            ("vae_mnist", "belongs to genzoo-vae"),
            ("pixel", "belongs to genzoo-pixel"),
            ("toy.gan", "the plugin toy-box already has a model 'toy-gan'"),
            ("toy-box", "the plugin 'toy-box' is already installed"),
            ("taken", "a package 'genzoo_taken' can already be imported"),
        ],
    )
    def test_bad_and_taken_names_are_refused(self, run, monkeypatch, tmp_path, name, words):
        (tmp_path / "more" / "genzoo_taken").mkdir(parents=True)
        (tmp_path / "more" / "genzoo_taken" / "__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path / "more")
        done = run("new-plugin", "--family", "implicit", "--", name)
        assert done.exit_code == 1
        assert words in done.stderr and done.stderr.count("\n") == 1
        assert list(Path().iterdir()) == []

    def test_names_become_modules_classes_and_packages(self):
        assert words_of("my.big_gan-2") == {
            "name": "my.big_gan-2",
            "module": "my_big_gan_2",
            "class_name": "MyBigGan2",
            "package": "genzoo_my_big_gan_2",
            "distribution": "genzoo-my-big-gan-2",
        }

    def test_a_family_must_be_named(self, run):
        done = run("new-plugin", "my-gan")
        assert done.exit_code == 2 and "--family" in done.stderr
        assert run("new-plugin", "my-gan", "--family", "autoencoder").exit_code == 2


class TestText:
    @pytest.mark.parametrize("licence", LICENCES)
    def test_the_licence_can_be_chosen(self, run, licence):
        assert (
            run(
                "new-plugin",
                "my-gan",
                "--family",
                "implicit",
                "--licence",
                licence,
                "--author",
                "A. N. Other",
            ).exit_code
            == 0
        )
        text = Path("genzoo-my-gan/LICENSE").read_text("utf-8")
        titles = {
            "BSD-3-Clause": "BSD 3-Clause License",
            "Apache-2.0": "Apache License",
            "none": "All rights reserved",
        }
        assert titles.get(licence, "MIT License") in text and "$" not in text
        assert ("A. N. Other" in text) == (licence != "Apache-2.0")
        named = "Proprietary" if licence == "none" else licence
        assert f'license = {{ text = "{named}" }}' in Path("genzoo-my-gan/pyproject.toml").read_text("utf-8")

    def test_an_author_cannot_break_out_of_the_licence(self):
        texts = render("my-gan", Family.IMPLICIT, "MIT", 'A\n"""\x1b[31m$name')
        assert 'A """' in texts["LICENSE"] and "\x1b" not in texts["LICENSE"]

    def test_it_asks_for_the_genzoo_that_wrote_it(self):
        assert '"genzoo>=0.1,<0.2"' in render("my-gan", Family.IMPLICIT)["pyproject.toml"]
        assert "genzoo_api = 2" in render("my-gan", Family.IMPLICIT)["genzoo_my_gan/__init__.py"]

    @pytest.mark.parametrize(
        ("name", "condition", "option"), [("blobs", "", ""), ("numerals", "labels", " --condition labels")]
    )
    def test_the_examples_of_the_guide_are_what_it_writes(self, name, condition, option):
        folder = ROOT / "docs" / "examples" / f"genzoo-{name}"
        texts = render(name, Family.IMPLICIT, "MIT", condition=condition)
        for path, text in texts.items():
            assert (folder / path).read_text("utf-8") == text, (
                f"write {path} anew: genzoo new-plugin {name} --family implicit{option} --licence MIT"
            )

    @pytest.mark.parametrize("condition", ["", *CONDITIONS])
    @pytest.mark.parametrize("family", FAMILIES)
    def test_the_linter_has_nothing_to_say(self, tmp_path, family, condition):
        new_plugin.write(render("my-gan", Family(family), condition=condition), tmp_path / "package")
        rules = [
            "--isolated",
            "--no-cache",
            "--line-length",
            "140",
            "--select",
            "E,F,W,I,B,UP,ANN,RUF100",
            "--ignore",
            "ANN201,ANN001",
        ]
        command = [sys.executable, "-m", "ruff", "check", *rules, tmp_path / "package"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


class TestJourney:
    """From nothing to somebody else's samples: what the README of the package tells to type, but for the
    number of steps."""

    def test_a_plugin_is_written_tested_trained_published_and_used_elsewhere(self, tmp_path):
        author, reader = Room(tmp_path / "author"), Room(tmp_path / "reader")
        assert author.genzoo("new-plugin", "spirals", "--family", "implicit") == "genzoo-spirals\n"
        package = author.folder / "genzoo-spirals"
        author.install(package)
        said = author.run("pytest", "-p", "no:cacheprovider", package).stdout
        assert "9 passed" in said and "skipped" not in said

        (row,) = [row for row in json.loads(author.genzoo("list", "--json")) if row["name"] == "spirals"]
        assert (row["plugin"], row["family"], row["weights"]) == ("genzoo-spirals", "implicit", False)
        author.genzoo("train", "spirals", "--steps", 3, "--set", "val_split=0", "--out", "run", "--quiet")
        hub = author.folder / "hub"
        author.genzoo("push", "spirals", hub, "--run", "run")

        reader.install(package)
        found = reader.genzoo("pull", "spirals", GENZOO_ZOO=str(hub)).strip().partition(": ")[2]
        assert sha256_of(Path(found)) == sha256_of(next(hub.glob("spirals-*.safetensors")))
        reader.genzoo("sample", "spirals", "-n", 4, "--seed", 0, "-o", "drawn.png", GENZOO_ZOO=str(hub))
        with Image.open(reader.folder / "drawn.png") as picture:
            assert min(picture.size) > 16

    def test_the_packages_of_the_other_families_keep_their_laws(self, tmp_path):
        room = Room(tmp_path)
        names = [name for name in FAMILIES if name != "implicit"]
        folders = [new_plugin.write(render(f"my-{name}", Family(name)), room.folder / name) for name in names]
        room.install(*folders)
        said = room.run("pytest", "-p", "no:cacheprovider", "--import-mode=importlib", *folders).stdout
        assert "15 passed" in said and "skipped" not in said

    def test_the_packages_of_conditional_models_keep_their_laws(self, tmp_path):
        room = Room(tmp_path)
        folders = [
            new_plugin.write(render(f"my-{name}", Family(name), condition="labels"), room.folder / name)
            for name in FAMILIES
        ]
        room.install(*folders)
        said = room.run("pytest", "-v", "-p", "no:cacheprovider", "--import-mode=importlib", *folders).stdout
        assert "27 passed" in said and "skipped" not in said
        for name in FAMILIES:
            assert f"test_laws[my-{name}-condition] PASSED" in said

    def test_a_label_that_is_ignored_is_told_as_law_seen_and_place(self, tmp_path):
        room = Room(tmp_path)
        texts = render("deaf", Family.IMPLICIT, condition="labels")
        honest = "self.generator(z, condition)"
        assert honest in texts["genzoo_deaf/deaf.py"]
        texts["genzoo_deaf/deaf.py"] = texts["genzoo_deaf/deaf.py"].replace(
            honest, "self.generator(z, 0 * condition)"
        )
        room.install(new_plugin.write(texts, room.folder / "deaf"))
        said = room.run("pytest", "-p", "no:cacheprovider", "deaf/tests/test_laws.py", code=1).stdout
        assert "law broken: another condition gives another sample" in said
        assert "      seen: the same for label 0 and label " in said
        assert "   look at: Deaf._sample" in said and "1 failed, 8 passed" in said

    def test_a_planted_bug_is_told_as_law_seen_and_place(self, tmp_path):
        room = Room(tmp_path)
        texts = render("sad", Family.IMPLICIT)
        texts["genzoo_sad/sad.py"] = texts["genzoo_sad/sad.py"].replace(
            "logits.flatten()", "logits.flatten().sigmoid()"
        )
        room.install(new_plugin.write(texts, room.folder / "sad"))
        said = room.run("pytest", "-p", "no:cacheprovider", "sad/tests/test_laws.py", code=1).stdout
        assert (
            "law broken: the discriminator returns logits, not probabilities\n      seen: at most 1 "
            "however large"
        ) in said
        assert "   look at: Sad._discriminate: drop the last sigmoid" in said
        assert "1 failed, 7 passed" in said and "Traceback" not in said


def test_it_imports_no_torch(tmp_path):
    code = (
        "import sys; from genzoo.cli.program import cli; cli.run(['new-plugin', 'my-gan', '--family', "
        "'implicit']);"
        "sys.exit(' '.join({'torch', 'numpy', 'PIL'} & set(sys.modules)) or 0)"
    )
    env = {**os.environ, "GENZOO_PLUGINS": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "genzoo-my-gan\n"), done.stderr
