# SPDX-License-Identifier: MIT
"""What a page is told of STUN and TURN servers, as RTCPeerConnection wants it.

With a secret shared with the TURN servers the credentials are made here, for one session and an hour: user name
EXPIRY:SESSION, password the HMAC-SHA1 of that (coturn calls it use-auth-secret).
"""

import base64
import hmac
import json
import time
from dataclasses import dataclass
from pathlib import Path

CREDENTIAL_SECONDS = 3600


@dataclass(frozen=True)
class IceServers:
    urls: tuple[str, ...] = ()
    turn_user: str = ""
    turn_password: str = ""
    turn_secret: str = ""

    @classmethod
    def from_file(cls, path: Path) -> "IceServers":
        """Without a file there are none."""
        if not path.exists():
            return cls()
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**values, "urls": tuple(values["urls"])})

    def for_session(self, number: int) -> list[dict]:
        stun = [url for url in self.urls if url.startswith("stun")]
        turn = [url for url in self.urls if url.startswith("turn")]
        servers = [{"urls": stun}] if stun else []
        if turn:
            servers.append({"urls": turn, **self._credentials(number)})
        return servers

    def _credentials(self, number: int) -> dict[str, str]:
        if not self.turn_secret:
            return {"username": self.turn_user, "credential": self.turn_password}
        # The number lets the server tell sessions apart; whose they are it need not know.
        username = f"{int(time.time()) + CREDENTIAL_SECONDS}:{number}"
        mac = hmac.digest(self.turn_secret.encode(), username.encode(), "sha1")
        return {"username": username, "credential": base64.b64encode(mac).decode()}
