# SPDX-License-Identifier: MIT
"""A certificate with its key that was set in the page: what is refused, and that the key is seen nowhere."""

import base64
import datetime
import json
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from tinypilot.settings.model import Settings

from .auth_helpers import run_command
from .conftest import Clock
from .test_acme import DAY, certificate
from .test_settings import declare

SETTING = "gateway_certificate_and_key"
NOW = Clock().time()


def pem(key, encryption=None):
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return encoded.decode()


def valid(key):
    return certificate(key, NOW - DAY, NOW + DAY)


KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
OWN = valid(KEY)
TRADITIONAL_WITH_PASSPHRASE = KEY.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"north wind")
).decode()


SSH_KEY = KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kvm")]))
    .sign(KEY, hashes.SHA256())
    .public_bytes(Encoding.PEM)
    .decode()
)


def put(browser, value):
    return browser.ask("PATCH", "/api/settings", {SETTING: value})


def test_it_is_taken_over_after_the_answer_and_its_key_is_shown_nowhere(
    monkeypatch, capsys, logged_in, root, systemd, config, audited
):
    admin = logged_in("admin")
    for value in (OWN + pem(KEY), OWN + valid(OTHER) + pem(KEY), pem(KEY) + OWN):
        answer = put(admin, value)
        assert answer.status_code == 200, answer.text
        assert systemd.commands[-1] == ["restart", "gateway-certificate.service"]
    assert systemd.restarts == []
    pages = [answer, admin.ask("GET", "/settings"), admin.ask("GET", "/api/openapi.json")]
    told = run_command(monkeypatch, capsys, config, "", "settings")
    assert f"{SETTING} is another secret" in told
    seen = json.dumps([told, audited, *(page.text for page in pages)])
    assert pem(KEY).splitlines()[1] not in seen


def signed_by(name, issuer_name, key, issuer_key):
    """A certificate of an authority."""
    subject, issuer = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)])
        for each in (name, issuer_name)
    )
    begin, end = (datetime.datetime.fromtimestamp(NOW + days, datetime.UTC) for days in (-DAY, DAY))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = builder.not_valid_before(begin).not_valid_after(end).sign(issuer_key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


ROOT_KEY, MIDDLE_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
LEAF = signed_by("kvm", "middle", KEY, MIDDLE_KEY)
MIDDLE = signed_by("middle", "root", MIDDLE_KEY, ROOT_KEY)
ROOT = signed_by("root", "root", ROOT_KEY, ROOT_KEY)
TRADITIONAL = KEY.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
).decode()


def trusted(block):
    """With a name that openssl shows: not all that reads a certificate reads this."""
    command = ["openssl", "x509", "-trustout", "-setalias", "kvm"]
    made = subprocess.run(command, input=block, capture_output=True, text=True, check=True).stdout
    assert "BEGIN TRUSTED CERTIFICATE" in made
    return made


# As a browser reads a file of bytes.
BINARY = base64.b64decode("".join(LEAF.splitlines()[1:-1])).decode(errors="replace")
PKCS7 = LEAF.replace("CERTIFICATE", "PKCS7")
BAG = "Bag Attributes\n    localKeyID: 01 02\nsubject=CN = kvm\nKey Attributes: <No Attributes>\n"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(LEAF + MIDDLE + ROOT + pem(KEY), id="as-nginx-wants-it"),
        pytest.param(ROOT + MIDDLE + LEAF + pem(KEY), id="chain-upside-down"),
        pytest.param(MIDDLE + pem(KEY) + ROOT + LEAF, id="key-in-the-middle"),
        pytest.param(LEAF + MIDDLE + LEAF + ROOT + pem(KEY), id="one-of-them-twice"),
        pytest.param(BAG + LEAF + BAG + MIDDLE + BAG + ROOT + BAG + pem(KEY), id="bag-attributes"),
        pytest.param("\ufeff" + LEAF + MIDDLE + "\ufeff" + ROOT + pem(KEY), id="byte-order-marks"),
        pytest.param(
            (LEAF + MIDDLE + ROOT + pem(KEY)).replace("\n", "\r\n"), id="lines-of-windows"
        ),
        pytest.param((LEAF + MIDDLE + ROOT + pem(KEY)).replace("\n", "\r"), id="lines-of-old-macs"),
        pytest.param((LEAF + MIDDLE + ROOT + pem(KEY)).replace("\n", "\n    "), id="indented"),
        pytest.param((LEAF + MIDDLE + ROOT + pem(KEY)).replace("\n", " "), id="one-line"),
        pytest.param((LEAF + MIDDLE + ROOT + pem(KEY)).replace("\n", ""), id="one-word"),
        pytest.param(
            json.dumps(LEAF + MIDDLE + ROOT + pem(KEY)).replace("/", "\\/"), id="escaped-as-in-json"
        ),
        pytest.param(
            (LEAF + MIDDLE + ROOT + pem(KEY)).replace(" CERT", " X509 CERT"), id="another-label"
        ),
        pytest.param(trusted(LEAF) + MIDDLE + trusted(ROOT) + pem(KEY), id="trusted"),
        pytest.param(LEAF + "\u00a0\n" + MIDDLE + ROOT + pem(KEY), id="another-space"),
        pytest.param(
            (LEAF + MIDDLE + ROOT + pem(KEY)).replace("\n", "\u00a0\n\u3000"),
            id="indented-with-other-spaces",
        ),
        pytest.param(
            (LEAF + MIDDLE + ROOT + pem(KEY)).replace("-----", "\u2014\u2014-"),
            id="dashes-of-a-word-processor",
        ),
        pytest.param((LEAF + MIDDLE + ROOT + pem(KEY))[1:-2], id="a-dash-short-at-both-ends"),
        pytest.param(
            (LEAF + MIDDLE + ROOT + pem(KEY)).replace("\n", "\n> "), id="cited-in-a-letter"
        ),
        pytest.param(
            (LEAF + MIDDLE + ROOT + pem(KEY)).replace("-----B", "----- B").replace("N-", "N -"),
            id="spaces-inside",
        ),
        pytest.param(
            (LEAF + MIDDLE + ROOT + pem(KEY)).replace("\n", "\u200b\n"), id="spaces-without-width"
        ),
        pytest.param(
            base64.b64encode((LEAF + MIDDLE + ROOT + pem(KEY)).encode()).decode(),
            id="encoded-once-more",
        ),
        pytest.param(
            f"tls.crt: {base64.b64encode((LEAF + MIDDLE + ROOT).encode()).decode()}\n"
            f"tls.key: {base64.b64encode(pem(KEY).encode()).decode()}\n",
            id="as-kubernetes-has-them",
        ),
        pytest.param(
            LEAF
            + MIDDLE
            + ROOT
            + "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
            + pem(KEY),
            id="with-the-curve",
        ),
        pytest.param(LEAF + MIDDLE + ROOT + pem(KEY) + pem(KEY), id="the-key-twice"),
        pytest.param(pem(OTHER) + LEAF + MIDDLE + ROOT + pem(KEY), id="another-key-too"),
        pytest.param(
            LEAF
            + MIDDLE
            + ROOT
            + pem(KEY)
            + "-----BEGIN DH PARAMETERS-----\nMAYCAQUCAQI=\n-----END DH PARAMETERS-----\n",
            id="with-parameters-of-dh",
        ),
        pytest.param('LEAF="' + LEAF + MIDDLE + ROOT + "\"\nKEY='" + pem(KEY) + "'\n", id="quoted"),
    ],
)
def test_what_programs_write_around_it_is_taken(logged_in, root, config, value):
    answer = put(logged_in("admin"), value)
    assert answer.status_code == 200, answer.get_json()
    kept = Settings.from_config(config).overrides()[SETTING]
    assert "".join(kept.split()) == "".join((LEAF + MIDDLE + ROOT + pem(KEY)).split())
    assert "\r" not in kept


@pytest.mark.parametrize("days", [(-2, -1), (1, 3), (-1, 0.5)])
def test_of_several_for_the_key_the_one_that_is_valid_longest_is_the_devices(
    logged_in, root, config, days
):
    other = certificate(KEY, NOW + days[0] * DAY, NOW + days[1] * DAY)
    for value in (other + OWN, OWN + other):
        answer = put(logged_in("admin"), value + pem(KEY))
        assert answer.status_code == 200, answer.get_json()
        kept = Settings.from_config(config).overrides()[SETTING]
        assert "".join(kept.split()) == "".join((OWN + pem(KEY)).split())


def test_a_key_of_another_form_is_taken(logged_in, root, config):
    assert put(logged_in("admin"), OWN + TRADITIONAL).status_code == 200
    rsa_key = rsa.generate_private_key(65537, 2048)
    pkcs1 = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert "BEGIN RSA PRIVATE KEY" in pkcs1.decode()
    assert put(logged_in("admin"), valid(rsa_key) + pkcs1.decode()).status_code == 200


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param(OWN, "can't be read", id="no-key"),
        pytest.param(pem(KEY), "can't be read", id="no-certificate"),
        pytest.param(valid(OTHER) + pem(KEY), "belongs to another certificate.", id="another's"),
        pytest.param(OWN[:200] + OWN[210:] + pem(KEY), "can't be read", id="harmed"),
        pytest.param(OWN + pem(KEY).replace("PRIVATE", "PUBLIC"), "in PEM form", id="public-key"),
        pytest.param(
            OWN + pem(KEY, BestAvailableEncryption(b"north wind")), "a passphrase", id="locked"
        ),
        pytest.param(
            certificate(KEY, NOW - 2 * DAY, NOW - DAY) + pem(KEY), "not valid now", id="past"
        ),
        pytest.param(
            certificate(KEY, NOW + DAY, NOW + 2 * DAY) + pem(KEY), "not valid now", id="future"
        ),
        pytest.param("", "in PEM form", id="nothing"),
        pytest.param(7, "in PEM form", id="number"),
        pytest.param("\ud800", "in PEM form", id="half-a-letter"),
        pytest.param(
            OWN.replace("A", "\ud800", 1) + pem(KEY), "in PEM form", id="half-a-letter-in-it"
        ),
        pytest.param(OWN + TRADITIONAL_WITH_PASSPHRASE, "has a passphrase", id="locked-pkcs1"),
        pytest.param(OWN + SSH_KEY, "`ssh-keygen -p -m PEM -f key` writes it", id="ssh-key"),
        pytest.param(REQUEST + pem(KEY), "is a request for a certificate", id="request"),
        pytest.param(BINARY + "\n" + pem(KEY), "`openssl x509 -in FILE`", id="binary"),
        pytest.param(OWN + BINARY, "`openssl pkey -in FILE`", id="binary-key"),
        pytest.param(PKCS7 + pem(KEY), "`openssl pkcs7 -print_certs -in FILE`", id="pkcs7"),
    ],
)
def test_a_wrong_one_changes_nothing(logged_in, root, systemd, config, value, sentence):
    answer = put(logged_in("admin"), value)
    assert (answer.status_code, sentence in answer.get_json()["error"]) == (400, True)
    assert not Settings.from_config(config).overrides()
    assert systemd.commands == []


def test_a_key_that_nginx_would_not_start_with_is_refused(logged_in, root):
    weak = rsa.generate_private_key(65537, 1024)
    answer = put(logged_in("admin"), valid(weak) + pem(weak))
    assert (answer.status_code, "key too small" in answer.get_json()["error"]) == (400, True)


@pytest.mark.parametrize(
    "curve", [pytest.param(each, id=each.name) for each in (ec.SECP521R1(), ec.SECP256K1())]
)
def test_a_key_that_browsers_do_not_offer_is_refused(logged_in, root, curve):
    key = ec.generate_private_key(curve)
    answer = put(logged_in("admin"), valid(key) + pem(key))
    assert (answer.status_code, "this kind of key" in answer.get_json()["error"]) == (400, True)


def test_it_goes_when_the_operator_fixes_it(logged_in, root, systemd, config):
    assert put(logged_in("admin"), OWN + pem(KEY)).status_code == 200
    declare(config, "certificate", fixed=[SETTING])
    root.reconcile()
    assert not Settings.from_config(config).overrides()
    assert systemd.restarts == ["gateway-certificate.service"]
