# SPDX-License-Identifier: MIT
"""A bare system gets Python packages from where this machine does (tools/bare_hosts.py)."""

from tools.bare_hosts import package_index, places

LISTED = """\
:env:.find-links='/srv/wheels'
global.cert='/etc/ssl/certs/own.pem'
global.extra-index-url='\\nhttps://index.example/simple\\nfile:///srv/index/simple'
"""


def test_settings_of_pip_and_uv_become_environment():
    environment = {
        "PIP_CERT": "/srv/other.pem",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "https_proxy": "http://proxy.example",
        "SECRET": "of somebody else",
    }
    assert package_index(LISTED, environment) == {
        "PIP_FIND_LINKS": "/srv/wheels",
        # The environment is stronger, as it is for pip.
        "PIP_CERT": "/srv/other.pem",
        "PIP_EXTRA_INDEX_URL": "https://index.example/simple file:///srv/index/simple",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "https_proxy": "http://proxy.example",
    }


def test_places_on_this_machine_are_found_in_settings(tmp_path):
    for name in ("index/simple", "wheels"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "own.pem").touch()
    settings = (
        f"https://index.example/simple file://{tmp_path}/index/simple",
        f"{tmp_path}/wheels {tmp_path}/nowhere",
        f"{tmp_path}/own.pem",
    )
    assert places(settings) == [tmp_path / name for name in ("index", "own.pem", "wheels")]
