"""Apache Superset on this machine, with the dashboard of MSM over a warehouse file.

`make superset-demo` runs it. Everything that Superset keeps lies in one folder, which may be
deleted; it listens on 127.0.0.1 alone.

    python docs/examples/superset/demo.py [--warehouse FILE] [--home DIR] [--port N]
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from msm_py.export.superset_bundle import SLUG, write_bundle

HERE = Path(__file__).resolve().parent
SUPERSET = HERE.parents[2] / ".venv-superset" / "bin" / "superset"
USER = "admin"
WAIT_SECONDS = 120


def prepare(home: Path) -> Mapping[str, str]:
    """Make Superset's folder and user; return the environment in which it runs."""
    home.mkdir(parents=True, exist_ok=True)
    for name in ("secret_key", "password"):
        file = home / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(32 if name == "secret_key" else 12))
    env = {
        **os.environ,
        "SUPERSET_HOME": str(home.absolute()),
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        "FLASK_APP": "superset.app:create_app()",
    }
    password = password_of(home)
    for words in (
        ("db", "upgrade"),
        (
            *("fab", "create-admin", "--username", USER, "--password", password),
            *("--firstname", "MSM", "--lastname", "MSM", "--email", "msm@localhost"),
        ),
        ("init",),
    ):
        done = subprocess.run([SUPERSET, *words], env=env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"superset {words[0]} failed:\n{done.stderr[-3000:]}")
    return env


def password_of(home: Path) -> str:
    """Return the password of Superset's one user."""
    return (home / "password").read_text()


@contextmanager
def running(home: Path, port: int) -> Iterator[str]:
    """Run Superset; yield its address once it answers."""
    env = prepare(home)
    address = f"http://127.0.0.1:{port}"
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [SUPERSET, "run", "--host", "127.0.0.1", "--port", str(port), "--with-threads"],
            env=env,
            stdout=log,
            stderr=log,
        )
        try:
            for _ in range(WAIT_SECONDS):
                if server.poll() is not None:
                    sys.exit(f"Superset ended; see {home / 'server.log'}")
                try:
                    httpx.get(f"{address}/health", timeout=5).raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(1)
            yield address
        finally:
            server.terminate()
            server.wait()


def import_dashboard(address: str, password: str, bundle: Path) -> None:
    """Import a bundle as a user does, over what an earlier one brought."""
    with httpx.Client(base_url=f"{address}/api/v1", timeout=120) as client:
        said = client.post(
            "/security/login",
            json={"username": USER, "password": password, "provider": "db", "refresh": False},
        ).raise_for_status()
        client.headers["Authorization"] = f"Bearer {said.json()['access_token']}"
        token = client.get("/security/csrf_token/").raise_for_status().json()["result"]
        client.headers.update({"X-CSRFToken": token, "Referer": address})
        done = client.post(
            "/dashboard/import/",
            files={"formData": (bundle.name, bundle.read_bytes(), "application/zip")},
            data={"overwrite": "true", "passwords": "{}"},
        )
        if done.is_error:
            sys.exit(f"the import failed: {done.text}")


def main() -> None:
    """Run it until somebody presses Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warehouse", type=Path, default=Path("warehouse/msm.duckdb"))
    parser.add_argument("--home", type=Path, default=Path(".superset"))
    parser.add_argument("--port", type=int, default=8088)
    given = parser.parse_args()
    if not given.warehouse.is_file():
        sys.exit(f"there is no warehouse at {given.warehouse}: `make run` makes one")
    with running(given.home, given.port) as address:
        bundle = given.home / "msm_superset.zip"
        write_bundle(bundle, given.warehouse)
        import_dashboard(address, password_of(given.home), bundle)
        print(f"{address}/superset/dashboard/{SLUG}/")
        print(f"user {USER}, password {password_of(given.home)}; Ctrl-C ends it")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
