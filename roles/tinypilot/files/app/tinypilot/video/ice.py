# SPDX-License-Identifier: MIT
"""What a page is told of STUN and TURN servers, as RTCPeerConnection wants it.

With a secret shared with the TURN servers the credentials are made here, for one session and an hour: user name
EXPIRY:SESSION, password the HMAC-SHA1 of that (coturn calls it use-auth-secret).
"""

import base64
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinypilot.errors import ApiError

CREDENTIAL_SECONDS = 3600
SETTINGS = {
    "tinypilot_ice_servers",
    "tinypilot_turn_secret",
    "tinypilot_turn_user",
    "tinypilot_turn_password",
}


@dataclass(frozen=True)
class IceServers:
    urls: tuple[str, ...] = ()
    turn_secret: str = ""
    turn_user: str = ""
    turn_password: str = ""

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> "IceServers":
        """Where the role has not said its settings there are none."""
        return cls(
            tuple(values.get("tinypilot_ice_servers", ())),
            values.get("tinypilot_turn_secret", ""),
            values.get("tinypilot_turn_user", ""),
            values.get("tinypilot_turn_password", ""),
        )

    def check(self) -> None:
        """Raises ApiError if addresses and credentials do not belong together. The play's preflight says the same."""
        login = self.turn_user or self.turn_password
        if self._turn and not self._credentials(0):
            raise ApiError(
                400,
                "The TURN server {server} needs a secret, or a user name and a password.",
                server=self._turn[0],
            )
        if self.turn_secret and login:
            raise ApiError(
                400,
                "Set either the shared secret of the TURN servers or a user name and a password, not both.",
            )
        if (self.turn_secret or login) and not self._turn:
            raise ApiError(
                400,
                "There are TURN credentials but no TURN server. Add one such as turn:turn.example:3478.",
            )

    def for_session(self, number: int) -> list[dict]:
        """TURN servers without credentials are left out: a browser would reject the whole list for one."""
        stun = [url for url in self.urls if url.startswith("stun")]
        credentials = self._credentials(number)
        servers: list[dict] = [{"urls": stun}] if stun else []
        if self._turn and credentials:
            servers.append({"urls": self._turn, **credentials})
        return servers

    @property
    def _turn(self) -> list[str]:
        return [url for url in self.urls if url.startswith("turn")]

    def _credentials(self, number: int) -> dict[str, str]:
        """Empty where there are none."""
        if self.turn_secret:
            # The number lets the server tell sessions apart; whose they are it need not know.
            username = f"{int(time.time()) + CREDENTIAL_SECONDS}:{number}"
            mac = hmac.digest(self.turn_secret.encode(), username.encode(), "sha1")
            return {"username": username, "credential": base64.b64encode(mac).decode()}
        if self.turn_user and self.turn_password:
            return {"username": self.turn_user, "credential": self.turn_password}
        return {}
