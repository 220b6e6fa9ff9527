"""PostgreSQL, S3 (by moto) and MLflow's server, each on a port of this machine, for tests marked `scale`."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

USER, PASSWORD = "mlflow", "pass word/1"  # of PostgreSQL: both need quoting in an address
ADMIN, ADMIN_PASSWORD = "ada", "lovelace-1815"  # of MLflow
BUCKET = "runs"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Postgres:
    """A PostgreSQL with nothing in it but what tests put there."""

    def __init__(self, port: int):
        self.port = port

    def uri(self, name: str, password: str = PASSWORD) -> str:
        quoted = password.replace(" ", "%20").replace("/", "%2F")
        return f"postgresql+psycopg://{USER}:{quoted}@127.0.0.1:{self.port}/{name}"

    def new(self, name: str) -> str:
        """The address of a new, empty database."""
        from sqlalchemy import create_engine, text

        with create_engine(self.uri("postgres"), isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        return self.uri(name)


def binaries() -> Path | None:
    """The folder with PostgreSQL's programs; Debian puts them on no path."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def postgres() -> Iterator[Postgres]:
    """Start PostgreSQL in a temporary folder; it refuses to run as root, so root becomes its user."""
    pytest.importorskip("psycopg", reason="psycopg is not installed here: make test")
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    other = ["runuser", "-u", "postgres", "--"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    if other and (not shutil.which("runuser") or subprocess.run([*other, "true"], check=False).returncode):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # short: a socket's path has at most 107 characters
        place, port = Path(folder), free_port()
        (place / "password").write_text(PASSWORD)
        if other:
            shutil.chown(place, "postgres")
            shutil.chown(place / "password", "postgres")
        make = ["--no-sync", "-A", "scram-sha-256", "-U", USER, "--pwfile", place / "password", "-E", "UTF8"]
        subprocess.run(
            [*other, programs / "initdb", *make, "--locale=C", place / "data"],
            cwd=place,
            check=True,
            capture_output=True,
        )
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": place, "fsync": "off"}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [*other, programs / "postgres", "-D", place / "data", *flags], cwd=place, stdout=log, stderr=log
            )
        try:
            server = Postgres(port)
            wait_for_server(server, process, place / "log")
            yield server
        finally:
            pid = int((place / "data/postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGQUIT)  # at once
            process.wait(60)


def wait_for_server(server: Postgres, process: "subprocess.Popen[Any]", log: Path) -> None:
    """Until it takes connections: it listens before, and refuses them while it is starting up."""
    import psycopg

    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            psycopg.connect(server.uri("postgres").replace("+psycopg", "")).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.03)
    raise AssertionError(log.read_text())


def s3() -> Iterator[dict[str, str]]:
    """An S3 with one bucket; gives the variables by which boto3 and MLflow find it."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed here: make test")
    import boto3

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    boto3.client(
        "s3", endpoint_url=address, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    ).create_bucket(Bucket=BUCKET)
    yield {**keys, "MLFLOW_S3_ENDPOINT_URL": address, "AWS_EC2_METADATA_DISABLED": "true"}
    server.stop()


def page_of_scale() -> str:
    """The page whose commands are run here."""
    return (Path(__file__).parents[1] / "docs/scale.md").read_text(encoding="utf-8")


@contextmanager
def mlflow_server(folder: Path, store: str, place: str, **environment: str) -> Iterator[str]:
    """MLflow's server as docs/scale.md starts it, with passwords and four workers; gives its address.

    Args:
        store: address of a database.
        place: where it keeps files.
    """
    port, log, page = free_port(), folder / "server.log", page_of_scale()
    for ini in re.findall(r"cat > auth.ini <<'END'\n(.*?)END\n", page, re.DOTALL):
        users = re.sub(r"(?<=database_uri = ).*", lambda _: store.replace("%", "%%"), ini)
        (folder / "auth.ini").write_text(users)
    (line,) = re.findall(r"^mlflow server (.*?)\n```", page.replace("\\\n", ""), re.MULTILINE | re.DOTALL)
    for written, here in {"0.0.0.0": "127.0.0.1", "tracking.example.org:5000": f"127.0.0.1:{port}"}.items():
        line = line.replace(written, here)
    command = [sys.executable, "-m", "mlflow", "server", *line.replace("s3://BUCKET/runs", place).split()]
    command += ["--port", str(port)]
    own = {name: value for name, value in os.environ.items() if not name.startswith("COV")} | environment
    own |= {
        "MLFLOW_BACKEND_STORE_URI": store,
        "MLFLOW_AUTH_CONFIG_PATH": "auth.ini",
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret of this test",
    }
    assert all(
        f"{name}=" in page for name in own if name.startswith("MLFLOW_") and name not in (os.environ | environment)
    )
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=folder, env=own, start_new_session=True, stdout=said, stderr=said)
    try:
        wait_for_health(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
        process.wait()


def wait_for_health(port: int, process: "subprocess.Popen[Any]", log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def with_user(uri: str, user: str = ADMIN, password: str = ADMIN_PASSWORD) -> str:
    """The address with a user and password in it, as MLFLOW_TRACKING_URI takes it."""
    return urlsplit(uri)._replace(netloc=f"{user}:{password}@{urlsplit(uri).netloc}").geturl()
