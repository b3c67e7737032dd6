# SPDX-License-Identifier: MIT
"""`make soak`: whether a device that is watched for hours stays as it was."""
