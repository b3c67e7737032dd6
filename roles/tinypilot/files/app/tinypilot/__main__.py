# SPDX-License-Identifier: MIT
"""What root does on the device, as the web app's user (see /usr/local/sbin/tinypilot).

tinypilot setup-code                             print a new one-time set-up code
tinypilot setup-code --unless-users              the same, and nothing if there is a user
tinypilot session --role viewer --minutes 2      print the cookie of a short session
tinypilot hash < FILE                            print the hash of the password in FILE, for tinypilot_users
tinypilot provisioned-users < FILE               set the users of the play, a JSON list
tinypilot settings                               print the settings that override their defaults
tinypilot signal < FACTS                         print in words what kvm-hdmi tells of the video cable
tinypilot doctor                                 name the broken link on the way of a frame or a key (doctor/)
"""

import argparse
import json
import os
import sys

from tinypilot.auth import passwords
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import ROLES
from tinypilot.config import Config
from tinypilot.errors import ApiError
from tinypilot.settings.model import Settings
from tinypilot.video import hdmi

LONGEST_SESSION_MINUTES = 60


def _shown(value: object) -> str:
    text = (", ".join(value) if isinstance(value, list) else str(value)) or "empty"
    return text if len(text) <= 64 else f"{text[:32]}…"


def main() -> None:
    os.umask(0o077)
    parser = argparse.ArgumentParser(
        prog="tinypilot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    setup_code = commands.add_parser("setup-code")
    setup_code.add_argument("--unless-users", action="store_true")
    session = commands.add_parser("session")
    session.add_argument("--role", choices=ROLES, default="viewer")
    session.add_argument(
        "--minutes", type=int, default=2, choices=range(1, LONGEST_SESSION_MINUTES + 1)
    )
    commands.add_parser("hash")
    commands.add_parser("provisioned-users")
    commands.add_parser("settings")
    commands.add_parser("signal")
    arguments = parser.parse_args()

    if arguments.command == "hash":
        password = sys.stdin.readline().rstrip("\n")
        try:
            passwords.check(password, "")
        except ApiError as refusal:
            sys.exit(str(refusal))
        print(passwords.hash_password(password))
        return
    if arguments.command == "signal":
        print(*hdmi.describe(hdmi.judge(json.load(sys.stdin)), hdmi.in_english), sep="\n")
        return
    config = Config.from_environment()
    if arguments.command == "settings":
        settings = Settings.from_config(config)
        effective = settings.effective()
        for name, setting in settings.declared().items():
            here, there = effective[name], setting.default
            if here != there:
                if setting.secret:
                    here, there = here and "another secret", there and "the secret"
                print(f"{name} is {_shown(here)}, not {_shown(there)}")
        return
    auth = Auth.from_config(config)
    if arguments.command == "setup-code":
        if not (arguments.unless_users and auth.users.exist()):
            print(auth.new_setup_code())
    elif arguments.command == "session":
        token = auth.sessions.create_for_provisioning(arguments.role, 60 * arguments.minutes)
        print(f"{auth.session_cookie}={token}")
    elif arguments.command == "provisioned-users":
        try:
            print("changed" if auth.users.set_provisioned(json.load(sys.stdin)) else "unchanged")
        except ApiError as refusal:
            sys.exit(str(refusal))


if __name__ == "__main__":
    main()
