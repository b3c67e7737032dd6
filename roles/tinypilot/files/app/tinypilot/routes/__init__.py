# SPDX-License-Identifier: MIT
"""What the web app answers, one blueprint a subject."""
