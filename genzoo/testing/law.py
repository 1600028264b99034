"""LawError, and the few words in which every law is stated; see `genzoo.law`."""

from __future__ import annotations

from genzoo.law import LawError, hold, refuses

__all__ = ["LawError", "hold", "refuses"]
