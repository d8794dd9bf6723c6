"""Puts this folder on the path: the hand-written trees are imported here, the rank modules by the ranks."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
