# SPDX-License-Identifier: MIT
"""Keyboard and mouse of the attached computer: from one WebSocket a person to the USB gadget.

A program of its own (`python3 -m tinypilot.hid`), apart from the web app: it alone may open the
gadget's files, a busy or restarting web app never holds up a key, and one thread serves everybody.
"""
