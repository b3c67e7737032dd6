# SPDX-License-Identifier: MIT
"""The attached computer, and others in the network: switched on, and off."""
