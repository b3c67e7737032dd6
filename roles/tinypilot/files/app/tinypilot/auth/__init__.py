# SPDX-License-Identifier: MIT
"""Who may use the device: users, passwords, sessions, tokens, two-factor authentication."""
