# SPDX-License-Identifier: MIT
"""Whether nginx can show a certificate: by OpenSSL, which nginx uses as well and with the same bounds."""

import contextlib
import os
import ssl
import subprocess
import time
from collections.abc import Iterator

from tinypilot.refusal import Refused

OPENSSL = "/usr/bin/openssl"


def check(pem: str) -> None:
    """Raises Refused. `pem` is all of it in one text: the certificate, those between it and its authority, its key."""
    with _in_memory(pem) as path:
        try:
            # Nobody is asked for a passphrase.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password=lambda: "")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise Refused(
                    400,
                    "The key is that of another certificate. The certificate itself must be the first in its file.",
                ) from error
            reason = (error.reason or "it can't be read").replace("_", " ").lower()
            raise Refused(
                400,
                "This is no certificate with its key that nginx could show: {reason}.",
                reason=reason,
            ) from error
    dates = subprocess.run(
        [OPENSSL, "x509", "-noout", "-startdate", "-enddate"],
        input=pem,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    begin, end = (line.split("=")[1] for line in dates.splitlines())
    if not ssl.cert_time_to_seconds(begin) <= time.time() < ssl.cert_time_to_seconds(end):
        raise Refused(
            400,
            "By the clock of the device the certificate is not valid now: it is from {begin} to {end}.",
            begin=begin,
            end=end,
        )


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """The path of a file that is on no disk: a key is none of /tmp's business."""
    file = os.memfd_create("certificate")
    try:
        with open(file, "w", encoding="ascii", closefd=False) as opened:
            opened.write(text)
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)
