#!/usr/bin/python3 -I
# SPDX-License-Identifier: MIT
"""Asks an ACME server for the page's certificate, when its time has come. It knows the request, not the key.

gateway-acme FOLDER    with acme.json and request.pem in FOLDER; started by systemd, whose STATE_DIRECTORY gets
                       certificate.pem, and failure with a sentence while the last try failed; nginx shows the ACME
                       server what is in RUNTIME_DIRECTORY
"""

import json
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

# acme-tiny itself would wait for an hour.
PATIENCE_SECONDS = 150
ANSWER_SECONDS = 30
# A certificate is renewed in the last third of its lifetime.
RENEWED_BEFORE_END = 1 / 3


@dataclass(frozen=True)
class Client:
    """`authority`: certificates in PEM form by which the server is trusted; empty: those of the system."""

    directory_url: str
    contact: str
    authority: str
    request: Path
    state: Path
    challenges: Path

    @property
    def certificate(self) -> Path:
        return self.state / "certificate.pem"

    @property
    def failure(self) -> Path:
        return self.state / "failure"

    def keep(self) -> None:
        """Exits with a sentence if there should be another certificate and is not."""
        try:
            if self._is_due():
                self._ask()
        # acme-tiny stumbles in many ways over a server that does not answer as one should.
        except Exception as error:
            sentence = (
                f"The ACME server {self.directory_url} gave no certificate ({reason(error)}). The page keeps what it "
                "has; the server is asked again in an hour."
            )
            self.failure.write_text(f"{sentence}\n", encoding="utf-8")
            sys.exit(sentence)
        self.failure.unlink(missing_ok=True)

    def _is_due(self) -> bool:
        if _read(self._asked_with) != self._asks_with():
            return True
        try:
            begin, end = lifetime(self.certificate)
        except subprocess.CalledProcessError:
            # A power cut has left half of it.
            return True
        return end - time.time() < (end - begin) * RENEWED_BEFORE_END

    def _ask(self) -> None:
        # Debian's; not there where no ACME server is asked.
        import acme_tiny

        account = self.state / "account.pem"
        if not account.exists():
            # acme-tiny signs with RSA alone.
            key = _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
            _replace(account, key, 0o600)
        trust = ssl.create_default_context(cadata=self.authority or None)
        urllib.request.install_opener(
            urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust))
        )
        certificate = acme_tiny.get_crt(
            str(account),
            str(self.request),
            str(self.challenges),
            log=logging.getLogger(__name__),
            # Whether the server can reach this device, only the server knows.
            disable_check=True,
            directory_url=self.directory_url,
            contact=[f"mailto:{self.contact}"] if self.contact else None,
        )
        self._check(certificate)
        _replace(self.certificate, certificate)
        _replace(self._asked_with, self._asks_with())

    def _check(self, certificate: str) -> None:
        """Raises ValueError. The last good one is not given away for something else."""
        try:
            signed = _openssl("x509", "-noout", "-pubkey", read=certificate)
        except subprocess.CalledProcessError as error:
            raise ValueError("what it sent is no certificate") from error
        if signed != _openssl("req", "-in", str(self.request), "-noout", "-pubkey"):
            raise ValueError("what it sent is the certificate of another key")

    @property
    def _asked_with(self) -> Path:
        """What the certificate was asked for with: another server or other names want another."""
        return self.state / "asked-with"

    def _asks_with(self) -> str:
        return f"{self.directory_url}\n{self.request.read_text(encoding='ascii')}"


def lifetime(certificate: Path) -> tuple[int, int]:
    """Its begin and end, in seconds since the epoch."""
    dates = _openssl("x509", "-in", str(certificate), "-noout", "-startdate", "-enddate")
    begin, end = (ssl.cert_time_to_seconds(line.split("=")[1]) for line in dates.splitlines())
    return begin, end


def reason(error: Exception) -> str:
    """acme-tiny says in several lines what it asked, signed, and all that it was answered."""
    if isinstance(error, LookupError | TypeError | AttributeError):
        return "it does not answer as an ACME server does"
    text = " ".join(line for line in str(error).splitlines() if not line.startswith("Data: "))
    what, _, _ = text.partition(":")
    details = re.findall(r"""'detail': (?:'([^']*)'|"([^"]*)")""", text)
    return f"{what}: {''.join(details[-1])}" if details else text


def _openssl(*arguments: str, read: str = "") -> str:
    return subprocess.run(
        ["/usr/bin/openssl", *arguments], input=read, check=True, capture_output=True, text=True
    ).stdout


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii") if file.exists() else ""


def _replace(file: Path, text: str, mode: int = 0o644) -> None:
    """Writes the file whole, by renaming."""
    new = file.with_suffix(".new")
    new.touch(mode)
    new.write_text(text, encoding="ascii")
    os.replace(new, file)


def _give_up(signal_number: int, frame: object) -> None:
    raise TimeoutError(f"there was no certificate within {PATIENCE_SECONDS} s")


def main() -> None:
    folder = Path(sys.argv[1])
    config = json.loads((folder / "acme.json").read_text(encoding="utf-8"))
    if not config["directory_url"]:
        sys.exit("gateway_acme_directory_url is empty: there is no ACME server to ask.")
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(PATIENCE_SECONDS)
    socket.setdefaulttimeout(ANSWER_SECONDS)
    client = Client(
        **config,
        request=folder / "request.pem",
        state=Path(os.environ["STATE_DIRECTORY"]),
        challenges=Path(os.environ["RUNTIME_DIRECTORY"]),
    )
    client.keep()


if __name__ == "__main__":
    main()
