# SPDX-License-Identifier: MIT
"""What a page is told of STUN and TURN servers, as RTCPeerConnection wants it.

With a secret shared with the TURN servers the credentials are made here, for one session and an hour: user name
EXPIRY:NAME, password the HMAC-SHA1 of that (coturn calls it use-auth-secret).
"""

import base64
import hashlib
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

    def for_session(self, token: str) -> list[dict]:
        stun = [url for url in self.urls if url.startswith("stun")]
        turn = [url for url in self.urls if url.startswith("turn")]
        servers = [{"urls": stun}] if stun else []
        if turn:
            servers.append({"urls": turn, **self._credentials(token)})
        return servers

    def _credentials(self, token: str) -> dict[str, str]:
        if not self.turn_secret:
            return {"username": self.turn_user, "credential": self.turn_password}
        # The server may tell sessions apart, and learns nothing of them.
        name = hashlib.sha256(token.encode()).hexdigest()[:16]
        username = f"{int(time.time()) + CREDENTIAL_SECONDS}:{name}"
        mac = hmac.digest(self.turn_secret.encode(), username.encode(), "sha1")
        return {"username": username, "credential": base64.b64encode(mac).decode()}
