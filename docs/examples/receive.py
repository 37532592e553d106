"""Keeps a copy of an inbox in an SQLite file, right through restarts, with an outgoing webhook.

    python receive.py https://inbox.example.com TOKEN copy.sqlite3 WEBHOOK_SECRET 8200

It listens on a port of this machine, and needs nothing but Python's standard library and `follow.py` beside it. Create
the webhook first, so that it has all changes after the rows that are loaded at the start.
"""

import base64
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import follow

MAX_SECONDS = 300  # by which the time of a delivery may differ from this clock, so that nobody can repeat an old one


def is_genuine(secret: str, headers: dict[str, str], body: bytes, now: float) -> bool:
    """Return whether a delivery was signed with the secret a moment ago (Standard Webhooks)."""
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(int(timestamp) - now) > MAX_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, b"%s.%s.%s" % (identity.encode(), timestamp.encode(), body), "sha256")
    expected = b"v1," + base64.b64encode(digest)
    # There may be several signatures, while a secret is replaced.
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(one, expected) for one in given)


class Receiver:
    """Applies deliveries to a copy."""

    def __init__(self, follower: follow.Follower, secret: str) -> None:
        self.follower = follower
        self.secret = secret
        self.last = ""  # the time of the last delivery that was applied

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Apply a delivery, and return the HTTP status of the answer. A repeated delivery does no harm."""
        if not is_genuine(self.secret, headers, body, time.time()):
            return 401
        content = json.loads(body)
        # A request that was given up can arrive after its repetition. It has older rows.
        if content["type"] == "changes" and content["timestamp"] >= self.last:
            self.follower.apply_page(content["data"])
            self.last = content["timestamp"]
        return 204


def main() -> None:
    """Receive deliveries until the program is stopped."""
    site, token, path, secret, port = sys.argv[1:]
    follower = follow.Follower(follow.Copy(path), follow.connect(site, token))
    if not follower.copy.cursor:
        follower.start()

    receiver = Receiver(follower, secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer 2xx only after the changes are stored; otherwise they would be lost."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.receive(headers, body))
            self.end_headers()

    HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
