# SPDX-License-Identifier: MIT
"""What the device tells of itself: metrics for Prometheus, and whether it is well."""
