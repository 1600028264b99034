import subprocess
import sys

import pytest

import genzoo.testing
from genzoo.errors import ArgumentError, GenzooError
from genzoo.testing import LawError
from genzoo.testing.law import hold, refuses


def test_a_broken_law_says_law_seen_and_place():
    with pytest.raises(LawError) as caught:
        hold(False, "a density sums to 1", "Σ p(x) = 2", "Mine._log_prob")
    error = caught.value
    assert (error.law, error.seen, error.where) == ("a density sums to 1", "Σ p(x) = 2", "Mine._log_prob")
    assert all(part in str(error) for part in ("a density sums to 1", "Σ p(x) = 2", "Mine._log_prob"))


def test_a_broken_law_is_an_assertion_and_one_of_our_errors():
    assert issubclass(LawError, AssertionError) and issubclass(LawError, GenzooError)


def test_a_kept_law_is_silent():
    hold(True, "law", "seen", "place")


def test_refuses_wants_the_error_it_names():
    def wrong():
        raise ArgumentError("no")

    refuses(wrong, ArgumentError, "law", "it", "place")
    with pytest.raises(LawError, match="is accepted"):
        refuses(lambda: None, ArgumentError, "law", "it", "place")
    with pytest.raises(LawError, match="raises ArgumentError"):
        refuses(wrong, KeyError, "law", "it", "place")


def test_hostile_words_stay_one_harmless_line():
    with pytest.raises(LawError) as caught:
        hold(False, "law", "\x1b[31mred\nline", "place")
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


def test_importing_the_laws_does_not_import_torch():
    code = "import sys, genzoo.testing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_name_of_the_package_is_there():
    for name in genzoo.testing.__all__:
        assert callable(getattr(genzoo.testing, name))
    assert set(genzoo.testing.__all__) <= set(dir(genzoo.testing))
    with pytest.raises(AttributeError, match="check_nothing"):
        _ = genzoo.testing.check_nothing
