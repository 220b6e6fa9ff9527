"""Photos in object storage, which fsspec opens: one listing, whole reads, retries, and one line for what fails.

Two kinds of failure differ. An object that is gone or closed is one bad file: `read` raises an OSError, and validation
rejects the file. Where keys, bucket or network fail, every other object would fail too: that is a ChromascapeError,
and the stage stops, so that no outage makes a data set smaller.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from chromascape.errors import ChromascapeError, how_to_install
from chromascape.resume import short

REQUESTS = 2  # times that botocore sends a request of S3, after errors of the server or the network
ATTEMPTS, PAUSE = 3, 0.5  # of a listing or read, for the same and for an answer cut off; seconds, doubled each time
CONNECT_SECONDS, READ_SECONDS = 10.0, 15.0  # until connected; between two parts of an answer
LONGEST_READ = 120.0  # seconds for one object, with all attempts
# What a listing says about the content of an object, in the words of several file systems.
STAMPS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "mtime", "created")
CREDENTIALS = re.compile(r"\w[\w+.-]*://[^/@]*:[^@]*@")
EMPTY = {"InvalidRange", "416"}  # of an object without bytes, S3 has no first one
# By S3's code or the name of the exception: what can't get better by itself.
FINAL = {
    "NoCredentialsError": "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "PartialCredentialsError": "incomplete credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "ProfileNotFound": "there is no such profile: check AWS_PROFILE",
    "InvalidAccessKeyId": "the access key is wrong: check AWS_ACCESS_KEY_ID, or the profile",
    "SignatureDoesNotMatch": "the secret key is wrong: check AWS_SECRET_ACCESS_KEY, or the profile",
    "ExpiredToken": "the session has expired: log in again",
    "InvalidToken": "the session token is wrong: log in again, or unset AWS_SESSION_TOKEN",
    "TokenRefreshRequired": "the session has expired: log in again",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
    "AllAccessDisabled": "the bucket is closed to everybody: ask its owner",
    "AccountProblem": "the account has a problem: ask its owner",
    "NotSignedUp": "the account is not signed up for S3: ask its owner",
    "NoSuchBucket": "there is no such bucket: check its name, and AWS_ENDPOINT_URL if it is not Amazon's",
    "ParamValidationError": "no bucket can have this name: write s3://BUCKET/FOLDER",
    "InvalidBucketName": "no bucket can have this name: write s3://BUCKET/FOLDER",
    "PermanentRedirect": "the bucket is in another region: set AWS_DEFAULT_REGION to it",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_DEFAULT_REGION to it",
}
NO_ANSWER = {"ConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "TimeoutError", "ConnectionClosedError"}


def files(location: str) -> dict[str, tuple[int | None, str | None]]:
    """Every object below a location, sorted by name: its size in bytes and a stamp that changes with its content.

    Both come from the listing alone; None where it does not tell them.

    Raises:
        ChromascapeError: the location is wrong, closed or empty, or does not answer.
    """
    system, root = _opened(location)
    try:
        listed = _tried(lambda: system.find(root, detail=True), location)
    except PermissionError as error:
        text = "no permission to list it: these keys need s3:ListBucket, or what it is called elsewhere"
        raise ChromascapeError(f"data.dir: {location}: {text} ({short(error)})") from None
    except FileNotFoundError:
        listed = {}
    system.invalidate_cache()  # of the same listing, which takes as much memory again
    if root in listed:
        raise ChromascapeError(f"data.dir: {location} is a file: write the folder that holds the photos")
    start = len(root.rstrip("/")) + 1
    found = {name[start:]: info for name, info in listed.items() if info["type"] == "file"}
    sizes = {name: (info.get("size"), _stamp(info)) for name, info in found.items() if not name.endswith("/")}
    if not sizes:
        raise ChromascapeError(f"data.dir: {location} holds no files: check its name, which is case-sensitive")
    return dict(sorted(sizes.items()))


def read(location: str, name: str, most: int) -> bytes:
    """The first `most` bytes of an object, or all of them.

    Raises:
        OSError: this object is gone, or may not be read.
        ChromascapeError: it can't be read now, as others can't be.
    """
    system, root = _opened(location)
    until, options = time.monotonic() + LONGEST_READ, {}

    def once() -> bytes:
        if system.async_impl:
            options["timeout"] = max(0.1, until - time.monotonic())
        try:
            return bytes(system.cat_file(f"{root.rstrip('/')}/{name}", start=0, end=most, **options))
        except OSError as error:
            if EMPTY & {*_kinds(error)}:
                return b""
            raise

    return _tried(once, f"{location}/{name}", until)


def check_readable(location: str, names: list[str]) -> None:
    """Read a byte of two objects: raises ChromascapeError if neither may be read."""
    for name in (names[0], names[-1]):
        try:
            read(location, name, 1)
            return
        except OSError as error:
            problem = short(error)
    text = "no permission to read its files: these keys need s3:GetObject, or what it is called elsewhere"
    raise ChromascapeError(f"data.dir: {location}: {text} ({problem})")


def _opened(location: str) -> tuple[Any, str]:
    """The file system, which fsspec keeps for this thread, and the location without its protocol."""
    if CREDENTIALS.match(location):
        raise ChromascapeError("data.dir: has a password in it, which git and MLflow would keep: leave it to variables")
    protocol = location.partition("://")[0]
    is_s3 = protocol in ("s3", "s3a")
    try:
        import fsspec

        config = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
        retries = {"mode": "standard", "total_max_attempts": REQUESTS}
        options = {"config_kwargs": config | {"retries": retries}} if is_s3 else {}
        system, root = fsspec.url_to_fs(location, **options)
        if not root:
            raise ValueError("names no bucket")
    except ImportError as error:
        remedy = how_to_install("s3") if is_s3 else f"{error}, and what DVC needs for it, such as dvc-gs"
        raise ChromascapeError(f"data.dir: {location} needs a package: {remedy}") from None
    except ValueError as error:
        raise ChromascapeError(f"data.dir: {location}: {short(error)}: write s3://BUCKET/FOLDER, or a folder") from None
    if is_s3:
        system.retries = 1  # the attempts are ours
    return system, str(root)


def _tried(call: Callable[[], Any], where: str, until: float = float("inf")) -> Any:
    """The result of a call, which is repeated where that may help.

    Raises:
        FileNotFoundError, PermissionError: from the call.
        ChromascapeError: everything else, in one line.
    """
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except Exception as error:  # each file system has errors of its own
            kinds = [*_kinds(error)]
            final = next((FINAL[kind] for kind in kinds if kind in FINAL), None)
            if final:
                raise ChromascapeError(f"data.dir: {where}: {final}") from None
            if isinstance(error, FileNotFoundError | PermissionError):
                raise
            pause = PAUSE * 2**attempt
            if attempt + 1 == ATTEMPTS or time.monotonic() + pause > until:
                raise ChromascapeError(f"data.dir: {where}: {_outage(kinds, error)}") from None
        time.sleep(pause)


def _kinds(error: BaseException | None) -> Iterator[str]:
    """What an error and its causes are called: S3's codes, and the names of their classes."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            yield str(response.get("Error", {}).get("Code", ""))
        yield from (kind.__name__ for kind in type(error).__mro__)
        error = error.__cause__


def _outage(kinds: list[str], error: Exception) -> str:
    """What happened and what to do, where retries did not help."""
    later = "the same command goes on later"
    if NO_ANSWER & {*kinds}:
        return f"no answer: check network, region and AWS_ENDPOINT_URL; {later} ({short(error)})"
    return f"failed {ATTEMPTS} times ({short(error)}): {later}; if it is this file alone, remove it"


def _stamp(info: dict[str, Any]) -> str | None:
    known = [str(info[key]) for key in STAMPS if info.get(key)]
    return " ".join([str(info.get("size")), *known]) if known else None
