# SPDX-License-Identifier: MIT
"""The users that this scenario's inventory has."""

import pytest
import requests


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_user_of_the_play_can_log_in(host):
    """Whose password the inventory keeps in a vault."""
    address = host.check_output("hostname -I").split()[0]
    answer = requests.post(
        f"https://{address}/api/login",
        json={"name": "grace", "password": "amazing grace hopper", "code": ""},
        headers={"Origin": f"https://{address}"},
        verify=False,
        timeout=20,
    )
    assert answer.status_code == 200
    # Whoever uses this device next begins with nobody.
    assert host.check_output("echo '[]' | tinypilot provisioned-users") == "changed"
