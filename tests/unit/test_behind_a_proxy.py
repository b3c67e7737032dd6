# SPDX-License-Identifier: MIT
"""A proxy or a tunnel between browser and device: what passes, and what is refused with the words that help."""

import ipaddress
import re
from pathlib import Path

import pytest

from .conftest import HOST, PASSWORD

LOGIN = {"name": "ada", "password": PASSWORD, "code": ""}


@pytest.mark.parametrize("host", ["localhost:8443", "kvm.example.org", "[2001:db8::7]:8443"])
def test_a_tunnel_or_a_proxy_that_keeps_host_is_no_obstacle(browser, ada, host):
    headers = {"Host": host, "Origin": f"https://{host}"}
    assert browser().ask("POST", "/api/login", LOGIN, headers=headers).status_code == 200


@pytest.mark.parametrize("host", [HOST, "[2001:db8::7]"])
def test_a_proxy_that_names_the_port_that_browsers_leave_out_is_no_obstacle(browser, ada, host):
    headers = {"Host": f"{host}:443", "Origin": f"https://{host}"}
    assert browser().ask("POST", "/api/login", LOGIN, headers=headers).status_code == 200


def test_a_proxy_that_writes_the_name_in_capital_letters_is_no_obstacle(browser, ada):
    headers = {"Host": HOST.upper(), "Origin": f"https://{HOST}"}
    assert browser().ask("POST", "/api/login", LOGIN, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "origin", [f"https://{HOST}:8443", "https://proxy.example", "https://proxy.example:8443"]
)
def test_a_proxy_that_changes_host_is_told_so(browser, ada, origin):
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    answer = browser().ask("POST", "/api/login", LOGIN, headers=headers)
    assert answer.status_code == 403
    assert answer.get_json()["error"] == (
        f"Refused: the page is at {origin}, and the request came for {HOST}. A proxy must pass the Host header on "
        "unchanged, with its port."
    )


def test_a_proxy_without_https_is_told_so(browser, ada):
    answer = browser().ask("POST", "/api/login", LOGIN, headers={"Origin": f"http://{HOST}"})
    assert answer.status_code == 403
    assert "must offer it by https" in answer.get_json()["error"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", None])
@pytest.mark.parametrize("origin", ["https://other.example", "null", None])
def test_a_foreign_page_is_no_proxy(browser, ada, site, origin):
    headers = {"Origin": origin, "Sec-Fetch-Site": site}
    answer = browser().ask("POST", "/api/login", LOGIN, headers=headers)
    assert answer.status_code == 403
    assert answer.get_json()["error"] == "Refused: the request comes from another site."


@pytest.mark.parametrize("path", ["/login", "/setup"])
def test_a_page_without_its_style_says_where_it_must_be(browser, ada, path):
    """Its files are asked for at the root of the host name. (See test_proxies.py of the browser tests.)"""
    assert "must be at the root of a host name" in browser().ask("GET", path).get_data(as_text=True)


TEMPLATE = Path(__file__).parents[2] / "roles/gateway/templates/nginx.conf.j2"


def line_of(address):
    """As nginx' map has it: whom connections and requests are counted for."""
    table = re.search(r"map \$remote_addr \$line \{(.*?)\n    \}", TEMPLATE.read_text(), re.DOTALL)[
        1
    ]
    for pattern, value in re.findall(r'^ +"~(.*?)" (.*);$', table, re.MULTILINE):
        if found := re.search(pattern.replace("(?<", "(?P<"), address):
            return re.sub(r"\$\{?(\w+)\}?", lambda name: found[name[1]], value.strip('"'))
    return address


@pytest.mark.parametrize(
    "network",
    [
        *("fe80::/64", "fd00::/64", "2001:db8::/64", "2001:db8:0:7::/64", "2001:db8:7::/64"),
        *("2001:0:0:7::/64", "2001:db8:7:8::/64", "2001:0:7::/64"),
    ],
)
def test_all_addresses_of_an_ipv6_line_have_one_share(network):
    lowest = int(ipaddress.ip_network(network).network_address)
    ends = (0, 1, 0x7 << 16, 0x7 << 32, 0x7 << 48, 0x0001_0002_0003_0004, 0x0001_0000_0000_0004)
    lines = {line_of(str(ipaddress.IPv6Address(lowest | end))) for end in ends}
    assert len(lines) == 1
    neighbour = ipaddress.IPv6Address(lowest + (1 << 64) | 5)
    assert line_of(str(neighbour)) not in lines


def test_each_ipv4_address_has_a_share_of_its_own():
    assert line_of("192.0.2.7") == "192.0.2.7"
