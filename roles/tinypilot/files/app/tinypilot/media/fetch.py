# SPDX-License-Identifier: MIT
"""Fetches an image by https, for the media service, which has no network.

python3 -m tinypilot.media.fetch
    One request on standard input, {"url": ..., "offset": ..., "version": ...} in a line. The answer is a line, {"size":
    ..., "version": ...} or why not, and then the file from there on. systemd starts it for each connection to a socket
    that the media service alone may open.

Where it may go is the inventory's to say: hosts by name (media_sources), and of addresses only public ones, none of a
network that the device is in, unless it is named (media_source_networks). A name is looked up once, and what was found
is checked and connected to: another answer to a later question changes nothing. Each redirect is checked anew.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from tinypilot.config import Config
from tinypilot.errors import ApiError

# An address that is refused for its letters is still read: in JSON each may have twelve bytes.
LONGEST_REQUEST_BYTES = 32 * 1024
LONGEST_URL = 2000
HTTPS_PORT = 443
REDIRECTS_MAX = 5
CONNECT_SECONDS = 10
READ_SECONDS = 30
# From the request to the file's first byte, redirects and all.
HEAD_SECONDS = 30
# A server that sends less than this in so many seconds keeps the device busy for nothing.
PACE_SECONDS = 60
PACE_BYTES = 1024 * 1024
BLOCK_BYTES = 256 * 1024
# A name, or an IPv4 address in whatever form: where it leads to is looked at.
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
VISIBLE = re.compile(r"[!-~]+")
# A strong ETag, or else a date.
ETAG = re.compile(r'"[!#-~]{0,200}"')
DATE = re.compile(r"[A-Za-z0-9:, +-]{1,60}")
RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Not /proc/net, which the sandbox hides (ProcSubset=pid).
ROUTES = Path("/proc/self/net")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Place:
    host: str
    port: int
    # With the query.
    path: str


# --- Where to ---


def check_url(url: object, sources: tuple[str, ...]) -> Place:
    """Raises ApiError for what is no https address, or names a host that nobody has allowed."""
    if not isinstance(url, str) or len(url) > LONGEST_URL or not VISIBLE.fullmatch(url):
        raise _no_address()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _no_address() from error
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https" or "@" in parts.netloc or "\\" in url or not HOST.fullmatch(host):
        raise _no_address()
    place = Place(host, HTTPS_PORT if port is None else port, _path(parts))
    if not any(_is_meant(source, place) for source in sources):
        raise ApiError(
            403,
            "Images may not be fetched from {host}: tinypilot_media_sources in the inventory says where from.",
            host=_name(place),
        )
    return place


def _no_address() -> ApiError:
    return ApiError(
        400,
        "The address must be https://HOST/PATH, of ASCII characters without spaces, without a user or password.",
    )


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _name(place: Place) -> str:
    return place.host if place.port == HTTPS_PORT else f"{place.host}:{place.port}"


def _is_meant(source: str, place: Place) -> bool:
    """source: HOST or HOST:PORT; *.HOST is each host below it, * each host."""
    host, _, port = source.lower().partition(":")
    if (int(port) if port else HTTPS_PORT) != place.port:
        return False
    if host == "*":
        return True
    return place.host.endswith(host[1:]) if host.startswith("*.") else place.host == host


def is_allowed(address: Address, networks: tuple[Network, ...], own: list[Network]) -> bool:
    """own: networks that the device is in, which may have public addresses as well."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return False
        if inner := _inner(address):
            return is_allowed(inner, networks, own)
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return False
    if any(address in network for network in networks):
        return True
    is_public = address.is_global and (address.version == 4 or address in GLOBAL_UNICAST)
    return is_public and not any(address in network for network in own)


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Where a packet comes out that is sent to this address."""
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def own_networks(routes: Path = ROUTES) -> list[Network]:
    """What is reached without a gateway, but for lines that all goes by."""
    found: list[Network] = []
    for line in (routes / "route").read_text(encoding="ascii").splitlines()[1:]:
        _, target, gateway, _, _, _, _, mask, *_ = line.split()
        if int(gateway, 16) == 0 and int(mask, 16) != 0:
            bits = int(mask, 16).bit_count()
            first = socket.ntohl(int(target, 16))
            found.append(ipaddress.IPv4Network((first, bits), strict=False))
    ipv6 = routes / "ipv6_route"
    for line in ipv6.read_text(encoding="ascii").splitlines() if ipv6.exists() else ():
        target, prefix, _, _, gateway, *_ = line.split()
        if int(gateway, 16) == 0 and int(prefix, 16) != 0:
            own = (bytes.fromhex(target), int(prefix, 16))
            found.append(ipaddress.IPv6Network(own, strict=False))
    return found


def addresses_of(place: Place, networks: tuple[Network, ...]) -> list[Address]:
    """Those that may be connected to. Raises ApiError if there are none."""
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ApiError(
            502,
            "{host} can't be found: look at its name, and at the device's network.",
            host=place.host,
        ) from error
    addresses = list(dict.fromkeys(ipaddress.ip_address(each[4][0]) for each in found))
    own = own_networks()
    allowed = [each for each in addresses if is_allowed(each, networks, own)]
    if not allowed:
        raise _not_public(place)
    return allowed


def _not_public(place: Place) -> ApiError:
    return ApiError(
        403,
        "{host} is in a network of this device, or has no public address: tinypilot_media_source_networks in the "
        "inventory says which of these may be asked.",
        host=place.host,
    )


# --- The request ---


def connect(place: Place, networks: tuple[Network, ...]) -> ssl.SSLSocket:
    failed: OSError = OSError()
    for address in addresses_of(place, networks):
        try:
            plain = socket.create_connection((str(address), place.port), CONNECT_SECONDS)
        except OSError as error:
            failed = error
            continue
        plain.settimeout(READ_SECONDS)
        is_named = any(address in network for network in networks)
        if plain.getsockname()[0] == plain.getpeername()[0] and not is_named:
            plain.close()
            raise _not_public(place)
        try:
            context = ssl.create_default_context()
            return context.wrap_socket(plain, server_hostname=place.host)
        except (OSError, ValueError) as error:
            plain.close()
            failed = error if isinstance(error, OSError) else OSError(str(error))
    raise _silent(place, failed) from failed


def _silent(place: Place, error: Exception) -> ApiError:
    reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return ApiError(
        502,
        "{host} does not answer as it should: {reason}.",
        host=_name(place),
        # Some of it is the server's.
        reason="".join(
            each if each.isprintable() else " " for each in (reason or type(error).__name__)[:200]
        ),
    )


def ask(
    url: object, offset: int, version: str, sources: tuple[str, ...], networks: tuple[Network, ...]
) -> tuple[http.client.HTTPResponse, Place]:
    """The answer that has the file, or its rest."""
    for _ in range(REDIRECTS_MAX + 1):
        place = check_url(url, sources)
        try:
            answer = _ask(place, connect(place, networks), offset, version)
        except (OSError, http.client.HTTPException) as error:
            raise _silent(place, error) from error
        if answer.status not in (301, 302, 303, 307, 308):
            return answer, place
        target = answer.getheader("Location", "")
        answer.close()
        try:
            url = urljoin(str(url), target)
        except ValueError as error:  # what looks like an IPv6 address
            raise _no_address() from error
    raise ApiError(
        502, "The address leads on and on: {most} redirects are followed.", most=REDIRECTS_MAX
    )


def _ask(
    place: Place, connected: ssl.SSLSocket, offset: int, version: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPSConnection(place.host, place.port)
    # Whatever becomes of it, no other is opened: that would ask for the address again.
    connection.auto_open = 0
    connection.sock = connected
    headers = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "kvm"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if version:
            headers["If-Range"] = version
    connection.request("GET", place.path, headers=headers)
    return connection.getresponse()


def size_of(answer: http.client.HTTPResponse, place: Place, offset: int) -> int:
    """Of the whole file. Raises ApiError if the answer has not the file from there on."""
    if answer.status not in (200, 206):
        raise ApiError(
            502, "{host} answers with HTTP {code}.", host=_name(place), code=answer.status
        )
    if answer.getheader("Content-Encoding", "identity") != "identity" or answer.length is None:
        raise ApiError(
            502, "{host} does not say how large the file is, or has encoded it.", host=_name(place)
        )
    if not offset and answer.status == 200:
        return answer.length
    found = RANGE.fullmatch(answer.getheader("Content-Range", ""))
    if answer.status == 206 and found:
        first, size = int(found[1]), int(found[2])
        if first == offset and size == offset + answer.length:
            return size
    raise ApiError(
        409,
        "{host} does not go on in the middle of the file, or has another one now: give it up, and begin anew.",
        host=_name(place),
    )


def version_of(answer: http.client.HTTPResponse) -> str:
    """What the server tells this file from another of its name by, for the request that goes on."""
    etag, changed = answer.getheader("ETag", ""), answer.getheader("Last-Modified", "")
    if ETAG.fullmatch(etag):
        return etag
    return changed if DATE.fullmatch(changed) else ""


def blocks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """To the end, or as long as they come at a pace."""
    began, came = time.monotonic(), 0
    while block := answer.read1(BLOCK_BYTES):
        yield block
        came += len(block)
        if time.monotonic() - began > PACE_SECONDS:
            if came < PACE_BYTES:
                raise TimeoutError
            began, came = time.monotonic(), 0


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    """Whatever the server does, a byte at a time included."""

    def stop(*_: object) -> None:
        raise TimeoutError("timed out")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _begin(asked: dict) -> tuple[http.client.HTTPResponse, dict]:
    """The answer that has the file, and what is told of it."""
    config = Config.from_environment()
    networks = tuple(
        ipaddress.ip_network(each, strict=False) for each in config.media_source_networks
    )
    offset, version = asked["offset"], asked["version"]
    try:
        with _within(HEAD_SECONDS):
            answer, place = ask(asked["url"], offset, version, config.media_sources, networks)
            return answer, {"size": size_of(answer, place, offset), "version": version_of(answer)}
    except TimeoutError as error:
        raise ApiError(
            502, "The server takes longer than {most} s to answer.", most=HEAD_SECONDS
        ) from error


def main() -> None:
    asked = json.loads(sys.stdin.buffer.readline(LONGEST_REQUEST_BYTES))
    out = sys.stdout.buffer
    try:
        answer, told = _begin(asked)
    except ApiError as error:
        told = {"status": error.status, "sentence": error.sentence, "values": error.values}
        print(json.dumps(told), flush=True)
        return
    out.write(json.dumps(told).encode() + b"\n")
    out.flush()
    try:
        for block in blocks(answer):
            out.write(block)
            out.flush()
    except (OSError, http.client.HTTPException) as error:
        # Whoever reads here sees that it is not whole.
        sys.exit(f"It ends before its end: {error!r}")


if __name__ == "__main__":
    main()
