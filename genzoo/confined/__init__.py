"""Checkpoints of other programs, read by a process that can do nothing else (rule R3)."""

REPLY = "genzoo"  # the key of metadata under which the reader of checkpoints says what it read
