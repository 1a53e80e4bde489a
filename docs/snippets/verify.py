"""A receiver of webhooks in one file, to copy from. It needs nothing but Python 3.8:

    WEBHOOK_SECRET=whsec_... python3 docs/snippets/verify.py

ADDRESS is where it listens, 127.0.0.1:9000 by default.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE = 5 * 60  # seconds between the sender's clock and ours
MAX_BODY = 1 << 20  # bytes


def verify(secret, headers, body):
    """Raises ValueError unless body (bytes) was signed with secret a moment ago."""
    key = base64.b64decode(secret.split("_", 1)[-1])
    if not key:
        raise ValueError("there is no secret")
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(time.time() - int(timestamp)) > TOLERANCE:
        raise ValueError("the timestamp is too far away")
    want = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    for signature in headers.get("webhook-signature", "").split():
        version, _, encoded = signature.partition(",")
        try:
            got = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
        if version == "v1" and hmac.compare_digest(got, want):  # takes as long wherever they differ
            return
    raise ValueError("no signature fits")


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(length)
        try:
            verify(os.environ.get("WEBHOOK_SECRET", ""), self.headers, body)
        except ValueError as error:
            print("refused:", error, file=sys.stderr, flush=True)
            return self.answer(400)
        event = json.loads(body)
        # Here: put the event into a queue or a table of yours, once per id, and work later.
        print("verified", event["type"], event["id"], file=sys.stderr, flush=True)
        return self.answer(204)

    def answer(self, status):
        self.send_response_only(status)
        self.end_headers()


if __name__ == "__main__":
    host, _, port = os.environ.get("ADDRESS", "127.0.0.1:9000").rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Receiver)
    print("listening on {}:{}".format(*server.server_address), file=sys.stderr, flush=True)
    server.serve_forever()
