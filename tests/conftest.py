"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no failure, and the same checkout gives the same verdict twice.
settings.register_profile("genzoo", deadline=None, derandomize=True, database=None)
settings.load_profile("genzoo")
