"""The helpers of this folder are a module; real replicas live as long as a test module."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
