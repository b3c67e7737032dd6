# SPDX-License-Identifier: MIT
"""Tests without Docker and without a device."""
