"""Foreign checkpoints: read by a confined process, and everything that is no state dict is refused in one
line, with nothing run."""

import io
import json
import os
import pickle
import subprocess
import sys
import textwrap
import zipfile

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from genzoo.confined import REPLY, child, reading, sandbox
from genzoo.confined.reading import read_checkpoint
from genzoo.errors import StorageError, WeightsError


def saved(value, modern=True):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=modern)
    return file.getvalue()


def told(reply):
    """Return what the header of an answer says."""
    size = int.from_bytes(reply[:8], "little")
    return json.loads(json.loads(reply[8 : 8 + size])["__metadata__"][REPLY])


class Payload:
    """A pickle of this makes a file when it is loaded."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def deflated(blob, filling=10**7):
    """Return the archive with compressed members, and with zeros in the place of the numbers."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            is_data = "/data/" in member.filename
            new.writestr(member.filename, b"\0" * filling if is_data else old.read(member))
    return out.getvalue()


@pytest.fixture
def at_once(monkeypatch):
    """Answer in this process, without the seconds that another takes to load torch: only for files without
    code."""
    monkeypatch.setattr(reading, "_ask_child", lambda blob, path, timeout: child.answer(blob))


@pytest.fixture
def file(tmp_path):
    """Give a function that writes bytes to a file and returns its path."""

    def write(blob, name="net.pth"):
        (tmp_path / name).write_bytes(blob)
        return tmp_path / name

    return write


def test_a_state_dict_comes_through_the_child_bit_by_bit(file):
    state = {"b.weight": torch.randn(3, 4), "a.weight": torch.randn(5).half(), "n": torch.tensor(7)}
    found = read_checkpoint(file(saved(state)), timeout=600)
    assert list(found.tensors) == list(state)  # in the order of the file, which safetensors does not keep
    assert torch.equal(found.tensors["b.weight"], state["b.weight"])
    assert found.tensors["a.weight"].dtype == torch.float32 and found.tensors["n"] == 7
    assert torch.equal(found.tensors["a.weight"], state["a.weight"].float())


def test_code_in_a_checkpoint_is_named_and_not_run(file, tmp_path):
    mark = tmp_path / "mark"
    path = file(saved({"main.0.weight": torch.zeros(2), "extra": Payload(mark)}))
    with pytest.raises(WeightsError, match=r"net\.pth names posix\.system, which is code: it was not run"):
        read_checkpoint(path, timeout=600)
    assert not mark.exists()
    torch.load(path, weights_only=False)  # the payload is a real one
    assert mark.exists()


@pytest.mark.skipif(not sandbox.can_filter(), reason="the kernel of this platform has no such filter")
def test_the_confined_process_can_only_compute_and_answer(tmp_path):
    mark, there = tmp_path / "mark", tmp_path / "there"
    there.write_text("x")
    code = f"""
        import ctypes, os, socket
        from genzoo.confined.sandbox import confine
        libc = ctypes.CDLL(None)
        confine(1 << 28, 20)
        tried = {{
            "read": lambda: open({str(there)!r}).read(),
            "write": lambda: open({str(mark)!r}, "w"),
            "remove": lambda: os.unlink({str(there)!r}),
            "list": lambda: os.listdir("/"),
            "socket": lambda: socket.socket(),
            "fork": os.fork,
            "execute": lambda: os.execv("/bin/true", ["true"]),
            "kill": lambda: os.kill(os.getppid(), 0),
            "memory": lambda: bytearray(1 << 29),
            "rename": lambda: os.rename({str(there)!r}, {str(mark)!r}),
        }}
        for name, call in tried.items():
            try:
                call()
                os.write(1, f"{{name}} worked\\n".encode())
            except (OSError, MemoryError):
                pass
        if libc.system({f"touch {mark}".encode()!r}) == 0:
            os.write(1, b"system worked\\n")
        os.write(1, f"{{sum(range(10))}}\\n".encode())
        os._exit(0)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "45\n"), done.stderr
    assert not mark.exists() and there.exists()


def test_the_child_gets_no_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(reading, "_CHILD", "import os; os.write(1, repr(dict(os.environ)).encode())")
    seen = reading._ask_child(b"", "x", 60)
    assert b"secret" not in seen and b"PYTHONPATH" in seen


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ended with code -9"),
        ("pass", "ended with code"),
        ("import sys; sys.stdout.buffer.write(bytes(1 << 25))", "cannot be read"),
    ],
)
def test_a_child_that_gives_no_answer_is_one_line(monkeypatch, file, code, words):
    monkeypatch.setattr(reading, "_CHILD", code)
    with pytest.raises(WeightsError, match=words):
        read_checkpoint(file(saved({"w": torch.zeros(2)})))


def test_a_child_that_hangs_is_ended(monkeypatch, file):
    monkeypatch.setattr(reading, "_CHILD", "while True: pass")
    with pytest.raises(WeightsError, match="could not be read within 1 s"):
        read_checkpoint(file(saved({"w": torch.zeros(2)})), timeout=1)


def nest(depth):
    value = {"w": torch.zeros(1)}
    for _ in range(depth):
        value = {"a": value}
    return value


CASES = {
    "an old format": (lambda: saved({"w": torch.ones(2)}, modern=False), ""),
    "a truncated file": (lambda: saved({"w": torch.zeros(1000)})[:-300], "damaged or cut off"),
    "a truncated old file": (
        lambda: saved({"w": torch.zeros(1000)}, modern=False)[:-300],
        "damaged or cut off",
    ),
    "a bomb": (lambda: deflated(saved({"w": torch.zeros(1000)})), "compressed members"),
    "a bare pickle": (lambda: pickle.dumps({"w": [1.0]}), "objects that no state dict has|damaged"),
    "a whole module": (lambda: saved(nn.Linear(2, 2)), r"names torch\.nn\.modules\.linear\.Linear"),
    "a list": (lambda: saved([torch.zeros(2)]), "holds a list, not a state dict"),
    "nothing": (lambda: saved({}), "holds no tensors"),
    "an optimiser alone": (lambda: saved({"optimizer": {"exp_avg": torch.zeros(3)}}), "holds no tensors"),
    "more numbers than bytes": (
        lambda: saved({"w": torch.zeros(1).expand(10**6, 10**6)}),
        "more numbers than",
    ),
    "complex numbers": (lambda: saved({"w": torch.zeros(2, dtype=torch.complex64)}), "complex numbers"),
    "a sparse tensor": (lambda: saved({"w": torch.eye(3).to_sparse()}), "not a plain tensor"),
    "NaN": (lambda: saved({"w": torch.tensor([1.0, float("nan")])}), "w holds NaN or infinite"),
    "a page": (lambda: b"<!DOCTYPE html><html>", "is no checkpoint"),
    "an empty file": (lambda: b"", "is no checkpoint"),
    "safetensors": (lambda: save({"w": torch.ones(2)}), ""),
    "damaged safetensors": (lambda: save({"w": torch.ones(2)})[:-1], "damaged or cut off"),
    "deep dictionaries": (lambda: saved(nest(12)), "longer, names"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_file_may_be(at_once, file, case):
    make, words = CASES[case]
    if not words:
        assert read_checkpoint(file(make())).tensors["w"].tolist() == [1, 1]
        return
    with pytest.raises(WeightsError, match=words) as caught:
        read_checkpoint(file(make()))
    assert "\n" not in str(caught.value) and "net.pth" in str(caught.value)


def test_dictionaries_that_hold_each_other_end():
    """A few hundred bytes of shared dictionaries stand for 20^7 of them."""
    value = {"w": torch.zeros(1)}
    for _ in range(7):
        value = {str(i): value for i in range(20)}
    assert "longer" in told(child.answer(saved(value)))["refused"]


def test_tensors_that_share_numbers_are_kept_apart(at_once, file):
    weight = torch.arange(6.0)
    found = read_checkpoint(file(saved({"a": weight, "b": weight.view(2, 3).t()})))
    assert found.tensors["b"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found.tensors["a"].tolist() == [*range(6)]


def test_nests_are_named_by_their_path_and_what_is_no_weight_is_left_out():
    value = {
        "epoch": 3,
        "state_dict": {"netG.0.weight": torch.ones(1)},
        "optimizer_states": {"exp_avg": torch.zeros(1)},
        "hyper_parameters": {"t": torch.zeros(1)},
        "losses": [torch.zeros(1)],
    }
    assert set(load(child.answer(saved(value)))) == {"state_dict.netG.0.weight"}


def test_a_sparse_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "big.pth"
    with open(path, "wb") as file:
        file.truncate(10 * 10**9)
    monkeypatch.setattr(reading, "read_capped", lambda *_: pytest.fail("it was read"))
    with pytest.raises(WeightsError, match="10,000,000,000 bytes, and at most 2,147,483,648 are read"):
        read_checkpoint(path)


def test_what_is_no_file_is_one_line(tmp_path):
    with pytest.raises(StorageError, match="a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(StorageError, match="no such file"):
        read_checkpoint(tmp_path / "missing.pth")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(StorageError, match="a pipe"):
            read_checkpoint(tmp_path / "pipe")
