"""`chromascape serve`: a web page that colorizes photos, and its server.

The page is the one in page/ that `chromascape export --web` also writes; only its engine.js differs, which here sends
the photo to this server. The server sends no files but those in FILES, and keeps no photo: of the last few it keeps the
network's colors, so that another style, strength or hint needs no second run.
"""

import io
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from chromascape.colorizing import hint_files
from chromascape.colorizing.colorizer import Colorizer
from chromascape.errors import ChromascapeError, explain_photo_error
from chromascape.photos import reading
from chromascape.photos.writing import FORMATS, Prepared, encoded, prepare, web_format
from chromascape.serving.kept_colors import KeptColors
from chromascape.serving.page_files import COMMON, PAGE

# The files that the server sends, by path of the URL.
FILES = {
    "/": PAGE / "index.html",
    **{f"/{name}": PAGE / name for name in COMMON},
    "/engine.js": PAGE / "server_engine.js",
    "/sw.js": PAGE / "server_sw.js",  # ends the one of a static page that was open under the same address before
    **{f"/examples/{file.name}": file for file in sorted((PAGE / "examples").glob("*.jpg"))},
}
MAX_BYTES = 64_000_000  # of one photo file
SECONDS = 60.0  # for a photo to arrive
HELD = 4  # photo files in memory at a time
WAITING = 32  # photos in the queue, whose files stay on the way; more are refused with status 503
HEADERS = {  # of every answer, errors included
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Endpoint = Callable[[Request], Awaitable[Response]]


def app(colorizer: Colorizer, hosts: list[str]) -> Starlette:
    """The web application: the page's files, POST /colorize, POST /colors, and POST /preview.

    Args:
        hosts: accepted Host headers, `*` for all. Others are refused: a page of another site could otherwise let its
            own host name resolve to this server (DNS rebinding).
    """
    kept = KeptColors(colorizer.network)
    colorizer = Colorizer(kept, colorizer.name, colorizer.size, colorizer.renderings, colorizer.luma)
    held = anyio.CapacityLimiter(HELD)
    one = anyio.CapacityLimiter(1)  # each photo uses all cores; two at once would take twice the memory

    async def colorize(request: Request) -> Response:
        look = *_look(request, colorizer), _negative(request)
        length = _length_of_hints(request)
        data = await _body(request, length)
        hints, photo = data[:length], data[length:]
        del data
        return await to_thread.run_sync(_told, _colorized, photo, colorizer, *look, hints, limiter=one)

    async def colors(request: Request) -> Response:
        negative = _negative(request)
        return await to_thread.run_sync(_told, _colors, await _body(request), colorizer, negative, limiter=one)

    async def preview(request: Request) -> Response:
        return await to_thread.run_sync(_told, _preview, await _body(request), limiter=one)

    routes = [Route(path, _sends(file)) for path, file in FILES.items()]
    works = (colorize, colors, preview)
    routes += [Route(f"/{work.__name__}", _queued(work, held), methods=["POST"]) for work in works]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)])


def _sends(file: Path) -> Endpoint:
    async def send(_: Request) -> Response:
        return FileResponse(file)

    return send


def _queued(work: Endpoint, held: anyio.CapacityLimiter) -> Endpoint:
    """The endpoint, which has its place in the queue before it reads the photo.

    Failures are answered with {"error": one line} and status 4xx, or 503 if too many photos are waiting.
    """

    async def answer(request: Request) -> Response:
        try:
            if held.statistics().tasks_waiting >= WAITING:
                await _let_pass(request)
                raise HTTPException(503, "too many photos are waiting: try again in a minute")
            async with held:
                return await work(request)
        except HTTPException as refused:
            return JSONResponse({"error": refused.detail}, refused.status_code)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it

    return answer


def _look(request: Request, colorizer: Colorizer) -> tuple[str, float]:
    """?style=faithful or vivid, &saturation=0 to 10."""
    style = request.query_params.get("style", "faithful")
    if style not in colorizer.renderings:
        raise HTTPException(400, f"style: {style[:20]!r} is none of {', '.join(colorizer.renderings)}")
    said = request.query_params.get("saturation", "1")
    try:
        saturation = float(said)
    except ValueError:
        saturation = -1
    if not 0 <= saturation <= 10:
        raise HTTPException(400, f"saturation: must be a number from 0 to 10 (it is {said[:20]!r})")
    return style, saturation


def _negative(request: Request) -> bool:
    """?negative=1: the photo is a negative."""
    said = request.query_params.get("negative", "0")
    if said not in ("0", "1"):
        raise HTTPException(400, f"negative: must be 0 or 1 (it is {said[:20]!r})")
    return said == "1"


def _length_of_hints(request: Request) -> int:
    """?hints=N: so many bytes before the photo are a JSON file of hints."""
    said = request.query_params.get("hints", "0")
    length = int(said) if said.isascii() and said.isdigit() and len(said) < 20 else -1
    if length < 0:
        raise HTTPException(400, f"hints: must be a number of bytes (it is {said[:20]!r})")
    if length > hint_files.MAX_BYTES:
        raise HTTPException(413, f"hints: larger than {hint_files.MAX_BYTES // 1_000_000} MB")
    return length


async def _body(request: Request, before: int = 0) -> bytes:
    """The photo file, of which no more than MAX_BYTES are ever held, and so many bytes before it.

    A form on another site can't send application/octet-stream without a preflight request, which is refused.
    """
    if request.headers.get("content-type") != "application/octet-stream":
        raise HTTPException(415, "send the photo file as application/octet-stream")
    if int(request.headers.get("content-length", "0")) > MAX_BYTES + before:
        raise _too_large()
    data = bytearray()
    try:
        with anyio.fail_after(SECONDS):
            async for part in request.stream():
                data += part
                if len(data) > MAX_BYTES + before:
                    raise _too_large()
    except TimeoutError:
        raise HTTPException(408, f"the photo did not arrive within {SECONDS:g} seconds") from None
    return bytes(data)


def _too_large() -> HTTPException:
    return HTTPException(413, f"larger than {MAX_BYTES // 1_000_000} MB")


async def _let_pass(request: Request) -> None:
    """Let a refused photo arrive without keeping it: browsers read no answer before they have sent all."""
    length = 0
    with anyio.move_on_after(SECONDS):
        async for part in request.stream():
            length += len(part)
            if length > MAX_BYTES:
                return


def _told(work: Callable[..., Response], data: bytes, *look: Any) -> Response:
    """The answer of work, or why there is none.

    Errors end here, in the thread: an exception that crosses to the loop is in a circle with its own traceback, and
    would hold the photo until Python looks for circles.
    """
    try:
        return work(data, *look)
    except Exception as error:
        return JSONResponse({"error": explain_photo_error(error, "send a smaller copy")}, 422)


def _colorized(
    data: bytes, colorizer: Colorizer, style: str, saturation: float, negative: bool, hints: bytes
) -> Response:
    """The colorized photo as the command line writes it; the header X-Notes says what its file lacks."""
    named = hint_files.from_json(hints, "hints") if hints else ()
    photo = _photo(data)
    colors = colorizer.strips(photo.pixels, style, saturation, named, negative=negative)  # type: ignore[arg-type]
    picture = encoded(photo, colors)
    return Response(picture, media_type=photo.media_type, headers={"X-Notes": json.dumps(photo.notes)})


def _colors(data: bytes, colorizer: Colorizer, negative: bool) -> Response:
    """The photo's L* and the network's a* and b* at working size: three planes of float32, the lowest byte first.

    The header X-Colors says how the page makes a picture of them.
    """
    lightness, ab, span = colorizer.small(_photo(data).pixels, negative)
    planes = np.stack([lightness, ab[..., 0], ab[..., 1]]).astype("<f4")
    about = {
        "width": lightness.shape[1],
        "height": lightness.shape[0],
        "cell": colorizer.network.cell,
        "input": "luma" if colorizer.luma else "lightness",
        "renderings": colorizer.renderings,
        "span": span,
    }
    headers = {"X-Colors": json.dumps(about)}
    return Response(planes.tobytes(), media_type="application/octet-stream", headers=headers)


def _photo(data: bytes) -> Prepared:
    image = reading.open_photo(data)
    return prepare(image, web_format(image))


def _preview(data: bytes) -> Response:
    """The photo as it was sent, but upright, in sRGB and in a format that every browser shows."""
    picture = reading.to_rgb(reading.open_photo(data))
    name = "JPEG" if max(picture.size) <= FORMATS["JPEG"].side else "PNG"
    stream = io.BytesIO()
    picture.save(stream, name, **FORMATS[name].options)
    return Response(stream.getvalue(), media_type=f"image/{name.lower()}")


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
        ready(f"http://{_name(host)}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])


def _name(host: str) -> str:
    """The host as it stands in an address: IPv6 in brackets; where all addresses are listened on, this machine's."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket, so that the page can be opened once its address is printed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ChromascapeError(f"--port {port}: can't listen on {host} ({why}): choose another --port") from None
