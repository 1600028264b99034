"""`genzoo experiment`."""

import json

FILE = """
title = "Toys"
data = "digits"
budget = 4
n = 12
metrics = ["kid"]
model = "toy-gan"
figure = "saturation"
[settings]
image_size = "8x8"
[columns.one]
[columns.two]
objective = "minimax"
"""


def test_table_picture_and_figure(run, tmp_path):
    (tmp_path / "some.toml").write_text(FILE)
    done = run(
        "experiment", str(tmp_path / "some.toml"), "--out", str(tmp_path / "out"), "--set", "channels=1"
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0] == "# Toys" and "|  | one | two |" in done.stdout
    assert "cell 2 of 2: two, seed 0, toy-gan, 2 rounds" in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "all--one--0",
        "all--two--0",
        "table.md",
        "table.json",
        "samples.png",
        "saturation.png",
    }
    again = run(
        "experiment",
        str(tmp_path / "some.toml"),
        "--out",
        str(tmp_path / "out"),
        "--set",
        "channels=1",
        "--json",
    )
    rows = json.loads(again.stdout)
    assert [row["column"] for row in rows] == ["one", "two"] and "cell" not in again.stderr
    assert rows[0]["settings"]["channels"] == 1 and rows[0]["records"]


def test_errors_are_one_line(run, tmp_path):
    done = run("experiment", "architecturs")
    assert done.exit_code == 1 and "did you mean 'architectures'" in done.stderr
    (tmp_path / "bad.toml").write_text('title = "t"\ndata = "digits"\nmodel = "toy-gna"')
    assert "did you mean 'toy-gan'" in run("experiment", str(tmp_path / "bad.toml")).stderr
