"""A short run on the digits."""

import genzoo


def test_a_run_leaves_weights_that_draw_the_same_anywhere(tmp_path, monkeypatch):
    # Nothing is held out, so that no scores are taken: they need longer than these few steps.
    outcome = genzoo.train("numerals", out=tmp_path / "run", steps=5, settings={"val_split": 0.0}, quiet=True)
    assert outcome.finished
    genzoo.push("numerals", tmp_path / "hub", run=tmp_path / "run")
    monkeypatch.setenv("GENZOO_ZOO", str(tmp_path / "hub"))
    assert genzoo.load("numerals").sample(4, seed=0, condition="7").shape == (4, 1, 8, 8)
    assert "agree" in genzoo.verify("numerals")
