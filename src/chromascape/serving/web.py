"""`chromascape serve`: a web page that colorizes photos, and its server.

The page is the one in page/ that `chromascape export --web` also writes; only its engine.js differs, which here sends
the photo to this server. The server sends no files but those in FILES, and keeps no photo.
"""

import io
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio import to_thread
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from chromascape.colorizing.colorizer import Colorizer
from chromascape.errors import ChromascapeError
from chromascape.photos import reading
from chromascape.photos.source import PhotoError

PAGE = Path(__file__).parent / "page"
# The files that the server sends, by path of the URL.
FILES = {
    "/": PAGE / "index.html",
    "/style.css": PAGE / "style.css",
    "/page.js": PAGE / "page.js",
    "/engine.js": PAGE / "server_engine.js",
    **{f"/examples/{file.name}": file for file in sorted((PAGE / "examples").glob("*.jpg"))},
}
MAX_BYTES = 64_000_000  # of one photo file
SECONDS = 60.0  # for a photo to arrive
WAITING = 32  # photos in the queue; more are refused with status 503
HEADERS = {  # of every answer, errors included
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Endpoint = Callable[[Request], Awaitable[Response]]


def app(colorizer: Colorizer, hosts: list[str]) -> Starlette:
    """The web application: the page's files, and POST /colorize.

    Args:
        hosts: accepted Host headers, `*` for all. Others are refused: a page of another site could otherwise let its
            own host name resolve to this server (DNS rebinding).
    """
    routes = [Route(path, _sends(file)) for path, file in FILES.items()]
    routes.append(Route("/colorize", _colorizes(colorizer), methods=["POST"]))
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)])


def _sends(file: Path) -> Endpoint:
    async def send(_: Request) -> Response:
        return FileResponse(file)

    return send


def _colorizes(colorizer: Colorizer) -> Endpoint:
    """POST a photo file as application/octet-stream, ?style=faithful or vivid: a JPEG or PNG of the photo's size.

    Failures are answered with {"error": one line} and status 4xx, or 503 if too many photos are waiting.
    """
    one = anyio.CapacityLimiter(1)  # each photo uses all cores; two at once would take twice the memory

    async def colorize(request: Request) -> Response:
        try:
            if one.statistics().tasks_waiting >= WAITING:
                raise HTTPException(503, "too many photos are waiting: try again in a minute")
            style = request.query_params.get("style", "faithful")
            if style not in colorizer.renderings:
                raise HTTPException(400, f"style: {style[:20]!r} is none of {', '.join(colorizer.renderings)}")
            data = await _body(request)
            picture, kind = await to_thread.run_sync(_colorized, colorizer, data, style, limiter=one)
        except HTTPException as refused:
            return JSONResponse({"error": refused.detail}, refused.status_code)
        except (PhotoError, ChromascapeError) as error:
            return JSONResponse({"error": str(error)}, 422)
        return Response(picture, media_type=kind)

    return colorize


async def _body(request: Request) -> bytes:
    """The photo file, of which no more than MAX_BYTES are ever held.

    A form on another site can't send application/octet-stream without a preflight request, which is refused.
    """
    if request.headers.get("content-type") != "application/octet-stream":
        raise HTTPException(415, "send the photo file as application/octet-stream")
    too_large = HTTPException(413, f"larger than {MAX_BYTES // 1_000_000} MB")
    if int(request.headers.get("content-length", "0")) > MAX_BYTES:
        raise too_large
    data = bytearray()
    try:
        with anyio.fail_after(SECONDS):
            async for part in request.stream():
                data += part
                if len(data) > MAX_BYTES:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, f"the photo did not arrive within {SECONDS:g} seconds") from None
    return bytes(data)


def _colorized(colorizer: Colorizer, data: bytes, style: str) -> tuple[bytes, str]:
    """The colorized photo as a file, and its type: JPEG for a JPEG, else PNG."""
    photo = reading.open_photo(data)
    kind = "JPEG" if photo.format in ("JPEG", "MPO") else "PNG"
    picture: Image.Image = colorizer.colorize(photo, style)  # type: ignore[arg-type]
    stream = io.BytesIO()
    picture.save(stream, kind, quality=95)
    return stream.getvalue(), f"image/{kind.lower()}"


def serve(colorizer: Colorizer, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        host: address to listen on; 127.0.0.1 accepts connections from this machine only.
        port: 0 for any free port.
        ready: called with the page's address once it can be opened.
    Raises:
        ChromascapeError: the port is in use, or the host is not an address of this machine.
    """
    import uvicorn

    with _listener(host, port) as listener:
        hosts = ["127.0.0.1", "localhost", "[::1]"] if host in ("127.0.0.1", "localhost", "::1") else ["*"]
        config = uvicorn.Config(
            app(colorizer, hosts), log_level="warning", limit_concurrency=2 * WAITING, headers=list(HEADERS.items())
        )
        ready(f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket, so that the page can be opened once its address is printed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ChromascapeError(f"--port {port}: can't listen on {host} ({why}): choose another --port") from None
