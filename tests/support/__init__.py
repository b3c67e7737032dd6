# SPDX-License-Identifier: MIT
"""What tests and benchmarks share: the virtual Pi, browsers, viewers, clients, and ways to wait."""
