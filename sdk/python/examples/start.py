"""Starts an example with the decision point that it asks, and says what to try. ``run`` of each example calls it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from scene import SECRET, Pdp

HERE = Path(__file__).parent
COMMANDS = {
    "fastapi": ["uvicorn", "--app-dir", str(HERE / "fastapi"), "app:app", "--host", "127.0.0.1", "--log-level", "warning", "--port"],
    "django": ["gunicorn", "--chdir", str(HERE / "django"), "app:application", "--threads", "8", "--log-level", "warning", "--bind"],
}


def main(which: str) -> int:
    port = os.environ.get("PORT", "8080")
    origin = f"http://localhost:{port}"
    with tempfile.TemporaryDirectory() as folder:
        pdp = Pdp(Path(folder), origin)
        try:
            pdp.enroll("alice")
            told = {"COUNTERSIGN_URL": pdp.url, "COUNTERSIGN_SECRET": SECRET, "ORIGIN": origin}
            where = port if which == "fastapi" else f"127.0.0.1:{port}"
            application = subprocess.Popen([sys.executable, "-m", *COMMANDS[which], where], env={**os.environ, **told})
            signal.signal(signal.SIGTERM, lambda _number, _frame: application.terminate())
            say(pdp, origin)
            try:
                return application.wait()
            except KeyboardInterrupt:
                return application.wait()
        finally:
            pdp.stop()


def say(pdp: Pdp, origin: str) -> None:
    control = f"http://127.0.0.1:{pdp.control}/countersign/v1/revocations"
    body = '{"target":{"subject":{"iss":"https://issuer.example","sub":"alice"}},"reason":"lost laptop"}'
    print(
        f"""
TOKEN={pdp.issuer.token("alice")}
curl -i -H "Authorization: Bearer $TOKEN" {origin}/          # allowed
curl -i {origin}/                                            # 401: no token
curl -i -H "Authorization: Bearer $TOKEN" {origin}/other     # 403
curl -i -H "Authorization: Bearer $TOKEN" {origin}/payroll   # 401: prove it again (RFC 9470)
curl -i -H "Authorization: Bearer $TOKEN" {origin}/print     # allowed, and somebody is told
curl -N -H "Authorization: Bearer $TOKEN" {origin}/stream    # breaks off when alice is revoked:
curl -H "Authorization: Bearer op:{SECRET}" -H "Content-Type: application/json" -d '{body}' {control}
""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
