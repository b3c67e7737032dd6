# SPDX-License-Identifier: MIT
"""Virtual media: images of disks, and the USB drives of the attached computer that they are put into."""
