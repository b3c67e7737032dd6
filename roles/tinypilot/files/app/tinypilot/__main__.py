# SPDX-License-Identifier: MIT
"""What root does on the device, as the web app's user (see /usr/local/sbin/tinypilot).

tinypilot setup-code                             print a new one-time set-up code
tinypilot setup-code --unless-users              the same, and nothing if there is a user
tinypilot session --role viewer --minutes 2      print the cookie of a short session
tinypilot hash < FILE                            print the hash of the password in FILE, for tinypilot_users
tinypilot users-of-play < FILE                   set the users of the play, a JSON list
tinypilot settings                               print what is set in the page and differs from the play
"""

import argparse
import json
import os
import sys

from tinypilot import passwords
from tinypilot.config import Config
from tinypilot.door import ROLES, SESSION_COOKIE, Door
from tinypilot.refusal import Refused
from tinypilot.settings import Settings

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
    commands.add_parser("users-of-play")
    commands.add_parser("settings")
    arguments = parser.parse_args()

    if arguments.command == "hash":
        password = sys.stdin.readline().rstrip("\n")
        try:
            passwords.check(password, "")
        except Refused as refusal:
            sys.exit(str(refusal))
        print(passwords.hash_password(password))
        return
    config = Config.from_environment()
    if arguments.command == "settings":
        settings = Settings.from_config(config)
        in_force = settings.in_force()
        for name, setting in settings.declared().items():
            here, there = in_force[name], setting.play
            if here != there:
                if setting.secret:
                    here, there = here and "another secret", there and "the secret"
                print(f"{name} is {_shown(here)}, not {_shown(there)}")
        return
    door = Door.from_config(config)
    if arguments.command == "setup-code":
        if not (arguments.unless_users and door.has_users()):
            print(door.new_setup_code())
    elif arguments.command == "session":
        token = door.new_play_session(arguments.role, 60 * arguments.minutes)
        print(f"{SESSION_COOKIE}={token}")
    elif arguments.command == "users-of-play":
        try:
            print("changed" if door.set_users_of_play(json.load(sys.stdin)) else "unchanged")
        except Refused as refusal:
            sys.exit(str(refusal))


if __name__ == "__main__":
    main()
