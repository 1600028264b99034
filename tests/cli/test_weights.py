"""`genzoo pull`, `genzoo verify`, `genzoo push`."""

import json

import pytest
from shell import one_line

from genzoo.ledger import read_rows


def damaged(published, tmp_path):
    """Return a ledger folder whose weights have one flipped bit."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "zoo.toml").write_bytes((published / "zoo.toml").read_bytes())
    (weights,) = published.glob("toy-gan-*.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    (folder / weights.name).write_bytes(bytes(data))
    return folder


class TestPull:
    def test_each_model_is_one_line(self, run, tmp_path):
        done = run("pull", "toy-gan", "toy-gan")
        assert (done.exit_code, done.stderr) == (0, "")
        name, _, path = done.stdout.rstrip("\n").partition(": ")
        assert name == "toy-gan"
        assert path.startswith(str(tmp_path / "cache")) and path.endswith(".safetensors")

    def test_a_failure_does_not_stop_the_others(self, run):
        done = run("pull", "coin", "nobody", "toy-gan")
        assert done.exit_code == 1
        assert done.stdout.startswith("toy-gan: ") and done.stdout.count("\n") == 1
        first, second = done.stderr.splitlines()
        assert one_line(first, "genzoo: 'coin' has no published weights")
        assert one_line(second, "genzoo: no model is called 'nobody'")
        assert one_line(run("verify", "./nozoo").stderr, "genzoo: there is no folder or file './nozoo'")

    def test_json(self, run):
        done = run("pull", "nobody", "toy-gan", "--json")
        assert done.exit_code == 1
        missing, there = json.loads(done.stdout)
        assert (missing["name"], missing["ok"], missing["path"]) == (
            "nobody",
            False,
            None,
        ) and "no model" in missing["error"]
        assert (there["name"], there["ok"], there["error"]) == ("toy-gan", True, None) and there[
            "path"
        ].endswith(".safetensors")

    def test_all(self, run):
        done = run("pull", "--all")
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith("toy-gan: ") and done.stdout.count("\n") == 1

    @pytest.mark.parametrize("command", ["pull", "verify"])
    def test_all_of_nothing(self, run, monkeypatch, command):
        monkeypatch.delenv("GENZOO_ZOO")
        done = run(command, "--all")
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr == "no installed model has published weights\n"
        assert json.loads(run(command, "--all", "--json").stdout) == []

    def test_damaged_weights(self, run, monkeypatch, published, tmp_path):
        monkeypatch.setenv("GENZOO_ZOO", str(damaged(published, tmp_path)))
        done = run("pull", "--all")
        assert (done.exit_code, done.stdout) == (1, "")
        assert one_line(done.stderr, "genzoo: cannot pull 'toy-gan'", "sha256")

    def test_a_cache_that_cannot_be_written(self, run, monkeypatch, tmp_path):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "file" / "cache"))
        done = run("pull", "toy-gan")
        assert done.exit_code == 1
        assert one_line(done.stderr, "file/cache")


class TestVerify:
    def test_digest_and_golden_outputs(self, run):
        run("pull", "toy-gan")
        done = run("verify", "--all")
        assert (done.exit_code, done.stderr) == (0, "")
        assert "toy-gan: sha256 " in done.stdout and "golden outputs agree" in done.stdout

    def test_code_that_draws_something_else(self, run, monkeypatch):
        import toys

        run("pull", "toy-gan")
        monkeypatch.setattr(toys.ToyGAN, "_decode", lambda self, z: 1 - self.generator(z[:, :, None, None]))
        done = run("verify", "toy-gan", "--json")
        assert done.exit_code == 1
        assert one_line(done.stderr, "differ from the author's")
        assert json.loads(done.stdout)[0]["ok"] is False

    def test_weights_that_are_not_here(self, run):
        done = run("verify", "toy-gan")
        assert done.exit_code == 1
        assert one_line(done.stderr, "genzoo pull toy-gan")


class TestPush:
    def test_to_a_folder_that_is_a_hub_then(self, run, monkeypatch, tmp_path):
        done = run("push", "toy-gan", tmp_path / "mine")
        assert done.exit_code == 0
        (weights,) = (tmp_path / "mine").glob("toy-gan-*.safetensors")
        assert done.stdout == f"toy-gan: folder:{weights.name}\n"
        assert f"to use it elsewhere: genzoo pull '{tmp_path / 'mine'}#toy-gan'" in done.stderr
        monkeypatch.setenv("GENZOO_ZOO", str(tmp_path / "mine"))
        monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "another"))
        assert run("pull", "toy-gan").exit_code == 0

    def test_json(self, run, tmp_path):
        facts = json.loads(run("push", "toy-gan", tmp_path / "mine", "--json").stdout)
        row = read_rows(tmp_path / "mine" / "zoo.toml")["toy-gan"]
        assert (facts["sha256"], facts["bytes"], facts["sources"]) == (
            row.sha256,
            row.bytes,
            list(row.sources),
        )

    def test_from_a_run(self, run, monkeypatch, published, tmp_path):
        monkeypatch.delenv("GENZOO_ZOO")
        assert run("push", "toy-gan", tmp_path / "mine").exit_code == 1
        assert run("push", "toy-gan", tmp_path / "mine", "--run", published).exit_code == 0
        (weights,) = (tmp_path / "mine").glob("toy-gan-*.safetensors")
        assert weights.read_bytes() == (published / weights.name).read_bytes()

    def test_who_can_read_a_repository_is_told(self, run, monkeypatch, tmp_path):
        from genzoo import hub

        asked = []

        def push(dest, *, row, public, tell, **_):
            asked.append((dest, public))
            tell(f"{dest} is new and private\x1b[31m")
            return row

        monkeypatch.setattr(hub, "push", push)
        done = run("push", "toy-gan", "hf:ada/zoo")
        assert (
            done.exit_code == 0
            and "hf:ada/zoo is new and private" in done.stderr
            and "\x1b" not in done.stderr
        )
        assert run("push", "toy-gan", "hf:ada/zoo", "--public").exit_code == 0
        assert asked == [("hf:ada/zoo", False), ("hf:ada/zoo", True)]

    @pytest.mark.parametrize("option", ["--licence", "--license"])
    def test_the_licence_is_the_authors_to_state(self, run, tmp_path, monkeypatch, option):
        done = run("push", "toy-gan", tmp_path / "mine", option, "CC BY 4.0")
        assert done.exit_code == 0 and "no licence" not in done.stderr
        assert read_rows(tmp_path / "mine" / "zoo.toml")["toy-gan"].licence == "CC BY 4.0"
        done = run("push", "toy-gan", tmp_path / "unstated", option, "")
        assert "no licence is stated: state one with --licence TEXT" in done.stderr
        assert read_rows(tmp_path / "unstated" / "zoo.toml")["toy-gan"].licence == ""
        monkeypatch.setenv("GENZOO_ZOO", str(tmp_path / "unstated"))
        assert "no licence stated" in run("info", "toy-gan").stdout

    def test_wrong_places(self, run, tmp_path):
        done = run("push", "toy-gan", tmp_path / "mine", "--public")
        assert done.exit_code == 1 and one_line(done.stderr, "--public")
        (tmp_path / "file").write_text("")
        done = run("push", "toy-gan", tmp_path / "file" / "mine")
        assert done.exit_code == 1
        assert one_line(done.stderr, "file/mine")
        done = run("push", "toy-gan", "hf:nonsense")
        assert done.exit_code == 1
        assert one_line(done.stderr, "hf:OWNER/REPO")
        done = run("push", "toy-gan", tmp_path, "--run", tmp_path / "absent")
        assert done.exit_code == 2
        assert one_line(done.stderr, "--run")
