"""LawError, and the functions that state a law; see `genzoo.law`."""

from __future__ import annotations

from genzoo.law import LawError, hold, refuses

__all__ = ["LawError", "hold", "refuses"]
