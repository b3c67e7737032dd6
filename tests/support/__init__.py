# SPDX-License-Identifier: MIT
"""What tests and benchmarks share: the virtual Pi, plays, browsers, viewers, clients, and ways to wait."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
