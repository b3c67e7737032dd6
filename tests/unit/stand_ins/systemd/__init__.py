# SPDX-License-Identifier: MIT
"""In place of Debian's python3-systemd, which is for Debian's own Python; PyPI's needs header files to be compiled."""
