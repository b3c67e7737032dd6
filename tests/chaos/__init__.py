# SPDX-License-Identifier: MIT
"""Breaks a virtual Pi again and again while people watch, and measures what they see of it."""
