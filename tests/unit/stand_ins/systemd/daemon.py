# SPDX-License-Identifier: MIT
"""The signature of systemd.daemon.notify(). A unit test is no service."""


def notify(status, unset_environment=False, pid=0, fds=None):
    return False
