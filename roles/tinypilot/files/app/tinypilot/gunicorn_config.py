# SPDX-License-Identifier: MIT
"""Of the web app's gunicorn. Its main process says that it lives, from the loop that looks after the worker."""

import threading
from typing import Any

from tinypilot import healing
from tinypilot.auth import copies
from tinypilot.auth.store import SCHEMA_VERSION
from tinypilot.config import Config


def when_ready(server: Any) -> None:
    sign_of_life = healing.SignOfLife()
    look_after_worker = server.murder_workers

    def look_and_tell() -> None:
        sign_of_life.give()
        look_after_worker()

    server.murder_workers = look_and_tell
    sign_of_life.is_ready()


def post_worker_init(_: object) -> None:
    path = Config.from_environment().auth_file
    looking = threading.Thread(
        target=copies.keep_looking_after, args=(path, SCHEMA_VERSION), daemon=True
    )
    looking.start()
