# SPDX-License-Identifier: MIT
"""The product seen from outside: a real browser and other viewers watch a virtual Pi."""
