# SPDX-License-Identifier: MIT
"""The doctor: walks the way of a frame and of a key through the device, and names the link that is broken.

evidence.py asks all that there is to ask, at once; links.py judges the answers, link by link, and tells causes from
what follows of them; report.py prints. What a role knows of its own part (units, paths, ports) it lays down in a folder
as a file that evidence.py reads.
"""
