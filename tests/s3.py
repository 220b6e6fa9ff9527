"""An S3 server on loopback (moto's), which counts requests and fails where a test says so."""

import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

ERROR = '<?xml version="1.0"?><Error><Code>{0}</Code><Message>{0}, as the test says</Message></Error>'
STATUS = {"InternalError": "500 Internal Server Error", "SlowDown": "503 Slow Down", "NoSuchKey": "404 Not Found"}
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "no-such-file",  # those of whoever runs the tests are for other servers
    "AWS_SHARED_CREDENTIALS_FILE": "no-such-file",
    "NO_PROXY": "127.0.0.1",
}


@dataclass
class S3:
    """The server. `requests` are like 'GET photos/a.jpg' and 'LIST photos', `faults` what the next ones get instead.

    A fault is a part of such a request, how many of them it meets, and what happens: 'cut' ends the answer in its
    middle, a number is so many seconds later, anything else is the code of an error.
    """

    app: Callable[..., Iterable[bytes]]
    requests: list[str] = field(default_factory=list)
    faults: list[tuple[str, int, str | float]] = field(default_factory=list)
    url: str = ""
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode().strip("/")
        listing = environ["REQUEST_METHOD"] == "GET" and "list-type" in environ.get("QUERY_STRING", "")
        request = f"{'LIST' if listing else environ['REQUEST_METHOD']} {path}"
        with self.lock:
            self.requests.append(request)
            fault = self._fault(request)
        if isinstance(fault, float):
            time.sleep(fault)
        elif fault == "cut":
            return self._cut(environ, start)
        elif fault:
            body = ERROR.format(fault).encode()
            headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
            start(STATUS.get(fault, "403 Forbidden"), headers)
            return [body]
        return self.app(environ, start)

    def _fault(self, request: str) -> str | float | None:
        for place, (part, times, what) in enumerate(self.faults):
            if part in request and times:
                self.faults[place] = (part, times - 1, what)
                return what
        return None

    def _cut(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Half of the body, whose whole length the header tells."""
        answer: list[Any] = []
        body = b"".join(self.app(environ, lambda *given: answer.extend(given)))
        start(answer[0], [pair for pair in answer[1] if pair[0] != "Connection"])
        return [body[: len(body) // 2]]

    def since(self, start: int = 0) -> dict[str, int]:
        """How many requests of each kind there were."""
        kinds = [request.partition(" ")[0] for request in self.requests[start:]]
        return {kind: kinds.count(kind) for kind in sorted({*kinds})}

    def send(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """A request that is not counted; names are as people write them."""
        before = len(self.requests)
        keys = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"Content-Type": "application/octet-stream", "Authorization": keys}
        request = urllib.request.Request(f"{self.url}/{quote(path)}", data, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            content: bytes = answer.read()
        del self.requests[before:]
        return content

    def names(self, place: str) -> list[str]:
        """The keys below BUCKET/FOLDER, without the bucket; at most 1,000."""
        bucket, _, folder = place.partition("/")
        answer = self.send("GET", bucket).decode()
        return [key for key in re.findall("<Key>(.*?)</Key>", answer) if key.startswith(f"{folder}/")]

    def put_folder(self, folder: Path, place: str) -> None:
        """Every file below a folder as an object."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.send("PUT", f"{place}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def serve() -> tuple[S3, Callable[[], None]]:
    """A server in a thread of this process, and what ends it."""
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log(self, *_: object) -> None:
            pass

    s3 = S3(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, s3, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    s3.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return s3, server.shutdown
