# SPDX-License-Identifier: MIT
"""When the ACME server is asked for a certificate, and what becomes of its answer; without acme-tiny."""

import datetime
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

ROLE = Path(__file__).parents[2] / "roles/gateway"
spec = importlib.util.spec_from_file_location("gateway_acme", ROLE / "files/acme.py")
program = importlib.util.module_from_spec(spec)
sys.modules["gateway_acme"] = program
spec.loader.exec_module(program)

NAME = "kvm.example.org"
URL = "https://acme.example/directory"
DAY = 86400
NAMES = x509.SubjectAlternativeName([x509.DNSName(NAME)])
NOBODY = x509.Name([])


def request(key):
    builder = x509.CertificateSigningRequestBuilder().subject_name(NOBODY)
    signed = builder.add_extension(NAMES, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def certificate(key, begin, end):
    """Its begin and end in seconds since the epoch."""
    begin, end = (datetime.datetime.fromtimestamp(second, datetime.UTC) for second in (begin, end))
    builder = x509.CertificateBuilder().subject_name(NOBODY).issuer_name(NOBODY)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    signed = builder.not_valid_before(begin).not_valid_after(end).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


class Server:
    """What acme-tiny gets from it: `answer`, a text or an error."""

    def __init__(self):
        self.asked = []
        self.answer = ""

    def get_crt(self, account, request, challenges, **options):
        self.asked.append(SimpleNamespace(account=Path(account), **options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(scope="module")
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def server(monkeypatch, clock, key):
    server = Server()
    server.answer = certificate(key, clock.now, clock.now + 90 * DAY)
    monkeypatch.setitem(sys.modules, "acme_tiny", server)
    return server


@pytest.fixture
def new_client(tmp_path, key):
    """Makes clients of one device: new_client(directory_url="..."), with the request that is there."""
    (tmp_path / "request.pem").write_text(request(key))

    def make(**config):
        values = {"directory_url": URL, "contact": "", "authority": "", **config}
        folders = {"state": tmp_path, "challenges": tmp_path}
        return program.Client(**values, request=tmp_path / "request.pem", **folders)

    return make


@pytest.fixture
def client(new_client):
    return new_client()


def test_what_it_signs_is_kept_and_not_asked_for_again(client, server):
    client.keep()
    client.keep()
    assert client.certificate.read_text() == server.answer
    assert len(server.asked) == 1


@pytest.mark.parametrize("days", [1, 6, 90])
def test_it_is_asked_again_in_the_last_third_however_short(client, server, clock, key, days):
    server.answer = certificate(key, clock.now, clock.now + days * DAY)
    client.keep()
    clock.pass_by(days * DAY * 2 / 3 - 60)
    client.keep()
    assert len(server.asked) == 1
    clock.pass_by(120)
    server.answer = certificate(key, clock.now, clock.now + days * DAY)
    client.keep()
    assert client.certificate.read_text() == server.answer
    assert len(server.asked) == 2


def test_another_server_is_asked_at_once(new_client, server):
    new_client().keep()
    new_client(directory_url="https://other.example/directory").keep()
    assert [asked.directory_url for asked in server.asked] == [
        URL,
        "https://other.example/directory",
    ]


def test_another_request_is_asked_with_at_once(client, server, clock):
    client.keep()
    other = ec.generate_private_key(ec.SECP256R1())
    client.request.write_text(request(other))
    server.answer = certificate(other, clock.now, clock.now + 90 * DAY)
    client.keep()
    assert client.certificate.read_text() == server.answer


def test_half_a_certificate_is_asked_for_again(client, server):
    client.keep()
    client.certificate.write_text(server.answer[:99])
    client.keep()
    assert client.certificate.read_text() == server.answer


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (OSError("no route"), "(no route)"),
        ("<html>Welcome</html>", "(what it sent is no certificate)"),
        ("", "(what it sent is no certificate)"),
        ({"certificate": "none"}, "(it does not answer as an ACME server does)"),
        (KeyError("newNonce"), "(it does not answer as an ACME server does)"),
    ],
)
def test_the_last_good_one_outlives_a_server_that_gives_nothing(
    client, server, clock, answer, sentence
):
    client.keep()
    good = client.certificate.read_text()
    clock.pass_by(80 * DAY)
    server.answer = answer
    with pytest.raises(SystemExit, match=re.escape(sentence)) as told:
        client.keep()
    assert client.certificate.read_text() == good
    assert client.failure.read_text() == f"{told.value}\n"


def test_the_certificate_of_another_key_is_not_taken(client, server, clock):
    client.keep()
    good = client.certificate.read_text()
    clock.pass_by(80 * DAY)
    other = ec.generate_private_key(ec.SECP256R1())
    server.answer = certificate(other, clock.now, clock.now + 90 * DAY)
    with pytest.raises(SystemExit, match="of another key"):
        client.keep()
    assert client.certificate.read_text() == good


def test_a_failure_is_forgotten_when_it_is_over(client, server):
    good, server.answer = server.answer, OSError("no route")
    with pytest.raises(SystemExit):
        client.keep()
    server.answer = good
    client.keep()
    assert not client.failure.exists()


def test_the_account_is_kept_and_its_key_is_for_nobody_else(new_client, server, clock):
    new_client(contact="ada@example.org").keep()
    clock.pass_by(80 * DAY)
    first = server.asked[0]
    assert first.account.stat().st_mode & 0o777 == 0o600
    assert first.contact == ["mailto:ada@example.org"]
    key = first.account.read_text()
    new_client().keep()
    assert server.asked[1].contact is None
    assert server.asked[1].account.read_text() == key


def test_an_authority_that_is_none_is_told(new_client, server):
    with pytest.raises(SystemExit, match="gave no certificate"):
        new_client(authority="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").keep()
    assert server.asked == []


@pytest.mark.parametrize(
    ("said", "reason_given"),
    [
        (
            "Error getting directory:\nUrl: https://acme.example/directory\nData: None\n"
            "Response Code: None\nResponse: <urlopen error timed out>",
            "Error getting directory: Url: https://acme.example/directory Response Code: None "
            "Response: <urlopen error timed out>",
        ),
        (
            "Challenge did not pass for kvm.example.org: {'status': 'invalid', 'challenges': [{'error': "
            "{'type': 'urn:ietf:params:acme:error:connection', 'detail': 'Connection refused'}}]}",
            "Challenge did not pass for kvm.example.org: Connection refused",
        ),
        (
            'Error creating new order:\nUrl: https://acme.example/order\nData: b\'{"protected": "e30"}\'\n'
            "Response Code: 400\nResponse: {'detail': \"can't sign for kvm.test\", 'status': 400}",
            "Error creating new order: can't sign for kvm.test",
        ),
    ],
)
def test_what_acme_tiny_says_becomes_a_sentence(said, reason_given):
    assert program.reason(ValueError(said)) == reason_given


PATTERNS = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__gateway_patterns"]


@pytest.mark.parametrize(
    ("variable", "value", "good"),
    [
        ("gateway_acme_directory_url", "", True),
        ("gateway_acme_directory_url", URL, True),
        ("gateway_acme_directory_url", "https://[2001:db8::1]:14000/dir?a=b%20c", True),
        ("gateway_acme_directory_url", "http://acme.example/directory", False),
        ("gateway_acme_directory_url", "acme.example/directory", False),
        ("gateway_acme_directory_url", "https://acme.example", False),
        ("gateway_acme_directory_url", "https://acme.example/directory now", False),
        ("gateway_acme_contact", "", True),
        ("gateway_acme_contact", "ada.l+kvm@example.org", True),
        ("gateway_acme_contact", "mailto:ada@example.org", False),
        ("gateway_acme_contact", "ada", False),
        ("gateway_acme_authority", "", True),
    ],
)
def test_variables(variable, value, good):
    assert bool(re.fullmatch(PATTERNS[variable][0], value)) is good


def test_an_authority_is_one_certificate_or_several_and_never_a_key(key, clock):
    pattern = PATTERNS["gateway_acme_authority"][0]
    authority = certificate(key, clock.now, clock.now + DAY)
    secret = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ED25519"], capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch(pattern, authority)
    assert re.fullmatch(pattern, authority + "\n" + authority.strip())
    assert not re.fullmatch(pattern, authority + secret)
    assert not re.fullmatch(pattern, "/etc/ssl/authority.pem")
