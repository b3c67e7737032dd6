# SPDX-License-Identifier: MIT
"""The machines that Wake-on-LAN can switch on: what admins have entered, and waking one."""

import ipaddress
import re
import sqlite3
import unicodedata
from pathlib import Path

from tinypilot import audit
from tinypilot.auth.sessions import Session, check_still_may
from tinypilot.auth.store import Store
from tinypilot.errors import ApiError
from tinypilot.power.ask import ask

MACHINES_MAX = 100
NAME_MAX = 64
MAC_DIGITS = 12
# The kernel's names of interfaces: 15 bytes, and no blanks, slashes or colons.
INTERFACE = re.compile(r"(?!\.{1,2}$)[!-.0-9;-~]{1,15}")
PATIENCE_SECONDS = 5
EVERYBODY = ipaddress.IPv4Address("255.255.255.255")
# As in tinypilot-wake@.service, which may send to no others. The fourth is that of providers' own networks.
NETWORKS = [
    ipaddress.IPv4Network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        *("100.64.0.0/10", "169.254.0.0/16"),
    )
]


def normalized_mac(text: str) -> str:
    """As 00:1b:63:84:45:e6, whatever it was copied from: Linux, Windows, a switch, a label, macOS (which leaves leading
    zeros out)."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(each for each in text if unicodedata.category(each) not in ("Cc", "Cf"))
    text = "".join("-" if unicodedata.category(each) == "Pd" else each for each in text)
    groups = re.split(r"\s*[:.\- ]\s*", text.strip().lower())
    if len(groups) == 6:
        groups = [group.zfill(2) for group in groups]
    digits = "".join(groups)
    if not re.fullmatch(r"[0-9a-f]*", digits):
        raise ApiError(
            400,
            "A MAC address has 12 digits, 0 to 9 and a to f, as in 00:1b:63:84:45:e6. This has other characters.",
        )
    if len(digits) != MAC_DIGITS:
        raise ApiError(
            400,
            "A MAC address has 12 digits, as in 00:1b:63:84:45:e6. This has {count}.",
            count=len(digits),
        )
    if len({len(group) for group in groups}) > 1:
        raise ApiError(
            400,
            "A MAC address has groups of equal length, as in 00:1b:63:84:45:e6 or 001b.6384.45e6.",
        )
    if not digits.strip("0"):
        raise ApiError(400, "This MAC address is all zeros: no machine has it.")
    if not digits.strip("f"):
        raise ApiError(400, "This MAC address is that of all machines. Enter the one of a machine.")
    if int(digits[:2], 16) & 1:
        raise ApiError(
            400, "This MAC address is that of a group (multicast). Enter the one of a machine."
        )
    return ":".join(digits[at : at + 2] for at in range(0, MAC_DIGITS, 2))


def normalized_broadcast(text: str) -> str:
    """Empty: everybody, in each network."""
    text = text.strip()
    if not text:
        return ""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        address = None
    if address is None or not (
        address == EVERYBODY or any(address in network for network in NETWORKS)
    ):
        raise ApiError(
            400,
            "{address} is no IPv4 address of a private network, such as 192.168.1.255. Leave it empty to reach the "
            "networks that this device is in.",
            address=text,
        )
    return "" if address == EVERYBODY else str(address)


def normalized_interface(text: str) -> str:
    text = text.strip()
    if text and not INTERFACE.fullmatch(text):
        raise ApiError(400, "{name} is no name of a network interface, such as eth0.", name=text)
    return text


def normalized_name(text: str) -> str:
    text = " ".join(text.split())
    if not 0 < len(text) <= NAME_MAX:
        raise ApiError(400, "The machine's name must have 1 to {most} characters.", most=NAME_MAX)
    return text


class Machines:
    def __init__(self, store: Store, socket: Path):
        self._store = store
        self._socket = socket

    def all(self) -> list[dict]:
        return self._store.all(
            "SELECT number, name, mac, broadcast, interface FROM machines "
            "ORDER BY name COLLATE NOCASE, number"
        )

    def number_of(self, name: str) -> int:
        machine = self._store.one("SELECT number FROM machines WHERE name = ?", name)
        if not machine:
            raise _unknown()
        return machine["number"]

    def add(self, by: Session, name: str, mac: str, broadcast: str, interface: str) -> int:
        values = self._normalized(name, mac, broadcast, interface)
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            (count,) = database.execute("SELECT count(*) FROM machines").fetchone()
            if count >= MACHINES_MAX:
                raise ApiError(
                    409, "There are {most} machines already. Remove one first.", most=MACHINES_MAX
                )
            number = self._write(
                database,
                "INSERT INTO machines (name, mac, broadcast, interface) VALUES (?, ?, ?, ?)",
                *values,
            ).lastrowid
        audit.note("machine_added", f"{_called(by)} added the machine {values[0]}", by=by.user)
        assert number is not None
        return number

    def change(
        self, number: int, by: Session, name: str, mac: str, broadcast: str, interface: str
    ) -> None:
        values = self._normalized(name, mac, broadcast, interface)
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            done = self._write(
                database,
                "UPDATE machines SET name = ?, mac = ?, broadcast = ?, interface = ? WHERE number = ?",
                *values,
                number,
            )
            if not done.rowcount:
                raise _unknown()
        audit.note("machine_changed", f"{_called(by)} changed the machine {values[0]}", by=by.user)

    def remove(self, number: int, by: Session) -> None:
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            if not database.execute("DELETE FROM machines WHERE number = ?", (number,)).rowcount:
                raise _unknown()
        audit.note("machine_removed", f"{_called(by)} removed machine {number}", by=by.user)

    def wake(self, number: int, by: Session) -> list[str]:
        """The interfaces that the packet went out on."""
        machine = self._store.one("SELECT * FROM machines WHERE number = ?", number)
        if not machine:
            raise _unknown()
        question = {name: machine[name] for name in ("mac", "broadcast", "interface")}
        try:
            told = ask(self._socket, question, PATIENCE_SECONDS)
            sent, failed = list(told["sent"]), dict(told["failed"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ApiError(
                503,
                "The Wake-on-LAN service does not answer. See `journalctl -u 'tinypilot-wake@*'`.",
            ) from error
        if not sent:
            raise _not_sent(machine, failed)
        audit.note(
            "machine_woken",
            f"{_called(by)} sent a magic packet to {machine['name']} ({machine['mac']}) on {', '.join(sent)}",
            by=by.user,
            mac=machine["mac"],
        )
        return sent

    @staticmethod
    def _normalized(name: str, mac: str, broadcast: str, interface: str) -> tuple[str, ...]:
        return (
            normalized_name(name),
            normalized_mac(mac),
            normalized_broadcast(broadcast),
            normalized_interface(interface),
        )

    @staticmethod
    def _write(database: sqlite3.Connection, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return database.execute(statement, values)
        except sqlite3.IntegrityError:
            raise ApiError(409, "A machine with this name already exists.") from None


def _called(by: Session) -> str:
    return by.user or "provisioning"


def _unknown() -> ApiError:
    return ApiError(404, "There is no such machine.")


def _not_sent(machine: sqlite3.Row, failed: dict) -> ApiError:
    if failed:
        return ApiError(
            409,
            "Nothing was sent: {reasons}.",
            reasons=", ".join(f"{name}: {reason}" for name, reason in failed.items()),
        )
    if machine["interface"]:
        return ApiError(
            409,
            "Nothing was sent: the network interface {name} is not there, or is not up.",
            name=machine["interface"],
        )
    return ApiError(409, "Nothing was sent: no network interface of this device is up.")
