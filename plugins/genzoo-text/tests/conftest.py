"""Lets these tests import text_toys, which is next to them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
