"""In and out: weights of other programs, and models for other programs."""
