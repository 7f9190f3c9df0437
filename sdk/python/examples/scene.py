"""A real decision point with a policy, an issuer of tokens and an operator: what the examples and the tests ask."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

POLICY = Path(__file__).parent / "policy"
SECRET = "the-shared-secret-of-an-example-that-is-long-enough"
ORIGIN = "http://payroll.localhost"
ISS, AUDIENCE = "https://issuer.example", "countersign"


def binary() -> str:
    """Name the program. It is built by whoever runs the tests; that it is missing is a failure."""
    return os.environ["COUNTERSIGN_BIN"]


def free_ports(count: int) -> list[int]:
    bound = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in bound]
    for one in bound:
        one.close()
    return ports


class Issuer:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> dict[str, Any]:
        point = self._key.public_key().public_numbers()
        x, y = (_encoded(number.to_bytes(32, "big")) for number in (point.x, point.y))
        return {"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "test", "x": x, "y": y}]}

    def token(self, subject: str, **more: Any) -> str:
        now = int(time.time())
        claims = {"iss": ISS, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 600, **more}
        head = {"alg": "ES256", "typ": "at+jwt", "kid": "test"}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        r, s = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


class Pdp:
    """A running decision point."""

    def __init__(self, folder: Path, origin: str = ORIGIN) -> None:
        self._folder = folder
        self.origin = origin
        self.issuer = Issuer()
        self.decision, self.operations, self.control, self.public = free_ports(4)
        (folder / "secret").write_text(SECRET)
        (folder / "jwks.json").write_text(json.dumps(self.issuer.jwks()))
        (folder / "countersign.toml").write_text(self._configuration())
        self._start()

    def _configuration(self) -> str:
        return f"""
[listen]
decision = "127.0.0.1:{self.decision}"
operations = "127.0.0.1:{self.operations}"
control = "127.0.0.1:{self.control}"
public = "127.0.0.1:{self.public}"
[[operator]]
name = "op"
secret_file = "secret"
[[pep]]
id = "payroll"
secret_file = "secret"
from = ["127.0.0.1"]
may_assert = {{ subject = true }}
[[host]]
origin = "{self.origin}"
token_cookie = "access_token"
[step_up]
origin = "http://auth.localhost:{self.public}"
name = "Example"
[[issuer]]
iss = "{ISS}"
jwks_file = "jwks.json"
algorithms = ["ES256"]
audiences = ["{AUDIENCE}"]
[policy]
path = "{POLICY}"
[store]
dir = "data"
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
"""

    def _start(self) -> None:
        # A store has one owner, and the log of a life is kept beside those before it.
        with (self._folder / "pdp.log").open("ab") as log:
            command = [binary(), "serve", "--config", str(self._folder / "countersign.toml")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not self._is_ready():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operations}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.decision}"

    def log(self) -> str:
        return (self._folder / "pdp.log").read_text()

    def operate(self, method: str, path: str, body: Any = None) -> Any:
        """Do what an operator does."""
        headers = {"Authorization": f"Bearer op:{SECRET}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.control}/countersign/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def revoke(self, sub: str, iss: str = ISS) -> Any:
        return self.operate("POST", "/revocations", {"target": {"subject": {"iss": iss, "sub": sub}}, "reason": "a test"})

    def enroll(self, sub: str) -> None:
        """Enrol a passkey of a subject, as a browser with an authenticator does."""
        code = self.operate("POST", "/enroll-codes", {"subject": {"iss": ISS, "sub": sub}})["code"]
        begun = self._page("/enroll/begin", {"code": code})
        origin = f"http://auth.localhost:{self.public}"
        credential = _passkey(begun["publicKey"], origin)
        self._page("/enroll/finish", {"enrolment": begun["enrolment"], "label": "of a test", "credential": credential})

    def _page(self, path: str, body: Any) -> Any:
        host = f"auth.localhost:{self.public}"
        headers = {"Host": host, "Origin": f"http://{host}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.public}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def stall(self) -> None:
        """Stop it in its tracks: it holds its ports and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process.poll() is None:
            self.wake()
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    def restart(self) -> None:
        self.stop()
        self._start()


def _passkey(options: dict[str, Any], origin: str) -> dict[str, Any]:
    """Make a passkey without attestation (WebAuthn level 3, section 6.5), of a key that is forgotten."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    name = os.urandom(32)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(options["rp"]["id"].encode())
    present_and_verified = b"\x45"
    data = digest.finalize() + present_and_verified + (1).to_bytes(4, "big") + bytes(16) + len(name).to_bytes(2, "big") + name
    data += b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + point.x.to_bytes(32, "big") + b"\x22\x58\x20" + point.y.to_bytes(32, "big")
    attested = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
    client = {"type": "webauthn.create", "challenge": options["challenge"], "origin": origin, "crossOrigin": False}
    response = {"clientDataJSON": _encoded(json.dumps(client).encode()), "attestationObject": _encoded(attested), "transports": ["internal"]}
    names = {"id": _encoded(name), "rawId": _encoded(name)}
    return {**names, "type": "public-key", "response": response, "clientExtensionResults": {"credProps": {"rk": True}}}
