# SPDX-License-Identifier: MIT
"""Whether nginx can show a certificate: by OpenSSL, which nginx uses as well and with the same bounds."""

import base64
import contextlib
import os
import re
import ssl
import subprocess
import time
from collections.abc import Iterator

from tinypilot.errors import ApiError

OPENSSL = "/usr/bin/openssl"
# Of what `openssl x509 -text` tells. nginx starts with others, too, and then nobody gets in.
KEY_OF_BROWSERS = re.compile(
    "^ *(Public Key Algorithm: rsaEncryption|ASN1 OID: (prime256v1|secp384r1))$", re.MULTILINE
)


# Up to the next dashes: what begins again and again and never ends costs no more than its length.
BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----)[\t\n\r -~])*-----END \1-----")
# The line of a begin or an end, as word processors, mail and whoever copied a dash too few have it.
DASHES = "[\\-\u2010-\u2015\u2212]{1,5}"
MARK = re.compile(f"{DASHES} ?(BEGIN|END) ([A-Z0-9 ]{{1,40}}?) ?{DASHES}")
WITHOUT_WIDTH = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
# Blocks that were encoded once more, as in Kubernetes' secrets: "-----BEGIN" begins so.
ENCODED = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/\s]+")
# Of web pages and word processors.
OTHER_SPACES = re.compile(r"[^\S\t\n\r ]")
# In letters that somebody answers.
CITED = re.compile("^[>| ]+", re.MULTILINE)
# Far more than a chain has; each costs a look by OpenSSL.
MOST_CERTIFICATES = 10
LINE_LETTERS = 64


def normalized(text: str) -> str:
    """The PEM blocks of what programs write, as nginx wants them: the device's certificate, then those up to its
    authority, then the key. What stands between blocks is for people. Raises ApiError for a key with a passphrase."""
    # Of JSON and of files of environment variables.
    for escaped, meant in (("\\n", "\n"), ("\\r", "\n"), ("\\/", "/")):
        text = text.replace(escaped, meant)
    text = ENCODED.sub(lambda found: _decoded(found[0]), WITHOUT_WIDTH.sub("", text))
    text = MARK.sub(r"-----\1 \2-----", OTHER_SPACES.sub(" ", text))
    blocks = _blocks(text)
    for label, block in blocks:
        if label.startswith("ENCRYPTED") or "Proc-Type: 4,ENCRYPTED" in block:
            raise ApiError(
                400,
                "The key has a passphrase, and nobody is here to type it. `openssl pkey -in key.pem -out plain.pem` "
                "writes it without one.",
            )
        if label == "OPENSSH PRIVATE KEY":
            raise ApiError(
                400,
                "The key is in a form of SSH's own. `ssh-keygen -p -m PEM -f key` writes it in the one of "
                "certificates.",
            )
        if label == "PKCS7":
            raise ApiError(
                400,
                "The certificates are in a PKCS#7 file. `openssl pkcs7 -print_certs -in FILE` writes them as "
                "certificates.",
            )
    certificates = [block for label, block in blocks if label.endswith("CERTIFICATE")]
    keys = list(dict.fromkeys(block for label, block in blocks if label.endswith("PRIVATE KEY")))
    if not certificates and any(label.endswith("CERTIFICATE REQUEST") for label, _ in blocks):
        raise ApiError(
            400,
            "This is a request for a certificate, which is for a certificate authority: it answers with a certificate.",
        )
    # A browser has read bytes as text.
    if "\ufffd" in text and not (certificates and keys):
        raise ApiError(
            400,
            "A certificate or key in binary form (DER, PKCS#12) can't be used. `openssl x509 -in FILE` and "
            "`openssl pkey -in FILE` write it as text, of PKCS#12 `openssl pkcs12 -noenc -in FILE`.",
        )
    if not certificates or not keys or len(certificates) + len(keys) > MOST_CERTIFICATES:
        return text
    return "\n".join([*_in_order(certificates, keys), ""])


def _blocks(text: str) -> list[tuple[str, str]]:
    return [(found[1], _with_lines(found[0], found[1])) for found in BLOCK.finditer(text)]


def _decoded(encoded: str) -> str:
    letters = "".join(encoded.split())
    # Of what stands behind it, letters may have been taken for a part of it.
    return base64.b64decode(letters[: len(letters) // 4 * 4]).decode("ascii", "replace")


def _with_lines(block: str, label: str) -> str:
    """Its lines, whatever became of them."""
    body = block.removeprefix(f"-----BEGIN {label}-----").removesuffix(f"-----END {label}-----")
    # Headers, such as those of a passphrase, have lines of their own.
    if ":" in body:
        return block.replace("\r\n", "\n").replace("\r", "\n")
    letters = "".join(CITED.sub("", body).split())
    lines = [letters[at : at + LINE_LETTERS] for at in range(0, len(letters), LINE_LETTERS)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


def _in_order(certificates: list[str], keys: list[str]) -> list[str]:
    """The key's own certificate, then each one's issuer, then the key; other certificates behind the issuers, for
    check() to judge. Of several for the key the one that is valid longest alone: a file may hold its renewals, too. Of
    several keys the first that has a certificate."""
    # Hashes of subject and issuer, begin and end, and the public key; all of it without another label.
    wanted = ["-subject_hash", "-issuer_hash", "-startdate", "-enddate", "-pubkey"]
    told = {}
    for block in certificates:
        block = _ask_openssl(["x509"], block).strip() or block
        told[block] = _ask_openssl(["x509", "-noout", *wanted], block).split("\n", len(wanted) - 1)
    key, of_key = keys[0], []
    for each in keys:
        public_key = _ask_openssl(["pkey", "-pubout"], each)
        of_key = [block for block in told if public_key and told[block][-1] == public_key]
        if of_key:
            key = each
            break
    chain = sorted(of_key, key=lambda block: _validity(*told[block][2:4]))[-1:]
    told = {block: facts for block, facts in told.items() if block in chain or block not in of_key}
    while chain:
        issuers = (
            each for each in told if each not in chain and told[each][0] == told[chain[-1]][1]
        )
        if not (issuer := next(issuers, None)):
            break
        chain.append(issuer)
    return [*chain, *(block for block in told if block not in chain), key]


def _validity(begin: str, end: str) -> tuple[bool, int]:
    """Whether it is valid now, and its end."""
    first, last = (ssl.cert_time_to_seconds(told.partition("=")[2]) for told in (begin, end))
    return first <= time.time() < last, last


def _ask_openssl(arguments: list[str], pem: str) -> str:
    """Nothing where it can't be read."""
    return subprocess.run(
        [OPENSSL, *arguments], input=pem, capture_output=True, text=True, check=False
    ).stdout


def check(pem: str) -> None:
    """Raises ApiError. `pem` is all of it in one text: the certificate, those between it and its authority, its key."""
    with _in_memory(pem) as path:
        try:
            # Nobody is asked for a passphrase.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password=lambda: "")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise ApiError(
                    400,
                    "The key belongs to another certificate. The device's certificate must be the first in its file.",
                ) from error
            if not error.reason:
                raise ApiError(400, "The certificate or its key can't be read.") from error
            raise ApiError(
                400,
                "nginx can't use this certificate and its key: {reason}.",
                reason=error.reason.replace("_", " ").lower(),
            ) from error
    told = subprocess.run(
        [OPENSSL, "x509", "-noout", "-startdate", "-enddate", "-text"],
        input=pem,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if not KEY_OF_BROWSERS.search(told):
        raise ApiError(
            400,
            "Browsers do not accept this kind of key. Use RSA with at least 2048 bits, or the curve P-256 or P-384.",
        )
    begin, end = re.findall("^not(?:Before|After)=(.*)$", told, re.MULTILINE)
    if not ssl.cert_time_to_seconds(begin) <= time.time() < ssl.cert_time_to_seconds(end):
        raise ApiError(
            400,
            "By the device's clock the certificate is not valid now. It is valid from {begin} to {end}.",
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
