"""In and out: weights of other programs, and models for other programs."""

REPLY = "genzoo"  # the key of metadata under which the reader of checkpoints says what it read
