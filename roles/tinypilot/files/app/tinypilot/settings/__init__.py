# SPDX-License-Identifier: MIT
"""What may be set in the web UI, and the program of root that applies it."""
