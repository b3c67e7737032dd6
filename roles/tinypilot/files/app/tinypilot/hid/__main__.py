# SPDX-License-Identifier: MIT
"""Runs the server on the socket that systemd has opened, so nobody is refused while it restarts."""

import socket

from aiohttp import web

from tinypilot import healing
from tinypilot.auth.auth import Auth
from tinypilot.auth.watcher import SessionWatcher
from tinypilot.config import Config
from tinypilot.hid.server import Server

SYSTEMD_SOCKET = 3
PATHS = ("/dev/hidg0", "/dev/hidg1", "/dev/hidg2")


def main() -> None:
    config = Config.from_environment()
    watcher = SessionWatcher(Auth.from_config(config))
    server = Server(watcher, PATHS, config.input_idle_seconds)
    application = server.application()
    application.cleanup_ctx.append(healing.give_signs_of_life)
    application.cleanup_ctx.append(server.keep_telling)
    web.run_app(application, sock=socket.socket(fileno=SYSTEMD_SOCKET), print=None, access_log=None)


if __name__ == "__main__":
    main()
