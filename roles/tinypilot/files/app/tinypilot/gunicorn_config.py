# SPDX-License-Identifier: MIT
"""Of the web app's gunicorn. Its main process tells systemd that it lives, from the loop that looks after the worker."""

from tinypilot import healing


def when_ready(server):
    sign_of_life = healing.SignOfLife()
    look_after_worker = server.murder_workers

    def look_and_tell():
        sign_of_life.give()
        look_after_worker()

    server.murder_workers = look_and_tell
    sign_of_life.is_ready()
