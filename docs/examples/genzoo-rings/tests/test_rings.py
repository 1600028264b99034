"""The data set, the metric, the tracker and the command."""

import pytest
import torch
from click.testing import CliRunner
from genzoo_rings.command import rings_command
from genzoo_rings.ink import ink
from genzoo_rings.table import table

from genzoo.data import open_data
from genzoo.training import Tracked


def test_the_data_set_is_found_by_its_name():
    train, test = (open_data("rings", split=split) for split in ("train", "test"))
    assert (len(train), len(test), train.shape) == (2000, 500, (1, 16, 16))
    assert torch.equal(open_data("rings").float(range(5)), train.float(range(5)))
    assert not torch.equal(test.float(range(5)), train.float(range(5)))


def test_ink_is_measured_in_grey_levels():
    white = torch.ones(4, 1, 2, 2)
    assert ink(white, white)["value"] == 0
    assert float(ink(white / 2, white)["value"]) == pytest.approx(127.5)
    spread = torch.linspace(0, 1, 4)[:, None, None, None].expand(4, 1, 2, 2)
    assert ink(spread.flip(0), spread)["value"] == 0
    assert float(ink(torch.full_like(spread, 0.5), spread)["value"]) == pytest.approx(255 / 3)


def test_a_resumed_run_continues_its_table(tmp_path):
    for step in (0, 2):
        run = Tracked(name="blobs", key="0" * 16, folder=tmp_path, step=step, config={})
        tracker = table(run)
        tracker.scalars(step + 1, {"loss/generator": 0.5})
        tracker.flush()
        tracker.close("finished")
    assert (tmp_path / "numbers.csv").read_text() == "1,loss/generator,0.5\n3,loss/generator,0.5\n"


def test_the_command_draws_them(tmp_path):
    done = CliRunner().invoke(rings_command, ["-n", "9", "-o", str(tmp_path / "rings.png")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "rings.png").stat().st_size > 200
