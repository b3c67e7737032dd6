# SPDX-License-Identifier: MIT
"""Figures of a virtual Pi: `python -m tests.bench --device NAME`. They are told, never judged."""
