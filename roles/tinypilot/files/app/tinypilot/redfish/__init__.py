# SPDX-License-Identifier: MIT
"""DMTF's Redfish, for clients that others wrote: the power of the attached computer, and its virtual media. All of it
is done by what the API does."""
