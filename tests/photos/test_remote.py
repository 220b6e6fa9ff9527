"""Photos in object storage, from moto's S3 server on loopback, which fails where a test says so."""

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from conftest import make_photo, save, write_photos
from s3 import S3

from chromascape.errors import ChromascapeError
from chromascape.health.machine import data as data_found
from chromascape.health.machine import disk as disk_found
from chromascape.params import Params
from chromascape.photos import inspection, remote, source
from chromascape.photos.manifest import write_manifest
from chromascape.photos.shards import write_shards
from chromascape.photos.source import PhotoError, Source
from chromascape.photos.splits import check_named_folders
from chromascape.photos.validation import validate_folder

pytestmark = pytest.mark.scale
IN = "s3://photos/in"
BUSY = 6  # requests until it is given up: 3 attempts, in each of which botocore sends 2


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSE", 0.01)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of all kinds."""
    folder = tmp_path_factory.mktemp("remote") / "photos"
    write_photos(folder, 6)
    write_photos(folder / "deeper" / "ü [1] #2%20?+", 2, first_seed=10)
    write_photos(folder / "sample-landscapes", 2, first_seed=20)
    save(folder / "gray.png", make_photo(30)[..., 0])
    (folder / "cut.png").write_bytes((folder / "photo-000.png").read_bytes()[:9_000])
    (folder / "copy.png").write_bytes((folder / "photo-001.png").read_bytes())
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("a text")
    (folder / "large.jpg").write_bytes(bytes(200_001))
    return folder


@pytest.fixture
def folder(files: Path, s3: S3) -> Path:
    """Photos in a folder and, the same, in a bucket."""
    s3.put_folder(files, "photos/in")
    s3.send("PUT", "photos/in/deeper/")  # what consoles make where one makes a folder
    s3.send("PUT", "photos/in-2/photo-007.png", b"in another folder")
    return files


@pytest.fixture
def few(s3: S3) -> None:
    """Three objects, to list and to read."""
    for name, size in (("gray.png", 9), ("large.jpg", 200_001), ("sub/photo-003.png", 9_000)):
        s3.send("PUT", f"photos/in/{name}", bytes(range(9)) * (size // 9) + bytes(size % 9))


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Params:
    split = {"train": 0.4, "val": 0.3, "test": 0.3, "seed": 1}
    changes = {"data.split": split, "validate.min_accepted": 3, "validate.max_rejected_share": 1.0}
    # Without a limit of seconds, one job reads in this process.
    return make_params(changes | {"validate.seconds": 0, "validate.max_file_mb": 0.2})


def inspect(params: Params, kept: Path | None = None) -> pd.DataFrame:
    return inspection.inspect_folder(Source(IN), params.validate_, 1, kept).set_index("path")


def refused(location: str) -> str:
    with pytest.raises(ChromascapeError) as caught:
        Source(location).check()
    line = str(caught.value)
    assert line.startswith("data.dir: ") and "\n" not in line
    return line


def test_a_bucket_gives_the_bytes_that_a_folder_gives(folder: Path, params: Params, tmp_path: Path, s3: S3) -> None:
    for name, photos in (("here", Source(str(folder))), ("there", Source(f"{IN}/"))):
        manifest, stopped = validate_folder(photos, params.data, params.validate_, tmp_path / f"docs-{name}", 1)
        assert stopped is None
        write_manifest(manifest, tmp_path / f"{name}.csv")
        write_shards(tmp_path / name, photos, manifest, 64, "crop", 1, 1)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert manifest.set_index("path")["problem"]["large.jpg"] == "too_large"
    shards = {file.name: file.read_bytes() for file in (tmp_path / "here").iterdir()}
    assert {file.name: file.read_bytes() for file in (tmp_path / "there").iterdir()} == shards
    read, used = len(manifest) - 1, int((manifest["verdict"] == "accepted").sum())  # the large one is not read
    assert s3.since() == {"LIST": 1, "GET": 1 + read + used}


def test_folders_of_photos_for_one_purpose_are_looked_up_in_the_listing(
    folder: Path, make_params: Callable[..., Params]
) -> None:
    check_named_folders(Source(IN), make_params({"data.train_only": ["deeper", "sample-landscapes"]}).data)
    with pytest.raises(ChromascapeError, match=r"'deep' does not exist: name folders inside data\.dir"):
        check_named_folders(Source(IN), make_params({"data.train_only": ["deep"]}).data)


def test_a_worker_gets_no_listing(few: None) -> None:
    photos = Source(IN)
    assert len(photos.entries) == 3
    sent = pickle.dumps(photos)
    assert pickle.loads(sent) == photos and len(sent) < 150  # noqa: S301  (our own)


@pytest.mark.parametrize("fault", ["cut", "InternalError", "SlowDown"])
@pytest.mark.parametrize("request_", ["LIST photos", "GET photos/in/sub/photo-003.png"])
def test_what_fails_for_a_moment_is_asked_for_again(few: None, s3: S3, fault: str, request_: str) -> None:
    s3.faults.append((request_, 2, fault))
    assert Source(IN).read("sub/photo-003.png") == bytes(range(9)) * 1000
    assert len(Source(IN).entries) == 3
    assert s3.since() == {"GET": 1, "LIST": 1} | {request_.partition(" ")[0]: 3}


@pytest.mark.parametrize(
    ("fault", "said", "requests"),
    [
        ("InternalError", "failed 3 times (InternalError, as the test says): the same command goes on later", BUSY),
        ("cut", "failed 3 times (Response payload is not completed", 3),
        ("ExpiredToken", "the session has expired: log in again", 1),
    ],
)
def test_an_outage_stops_and_rejects_nothing_and_what_was_read_is_not_read_again(
    folder: Path, params: Params, tmp_path: Path, s3: S3, fault: str, said: str, requests: int
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    s3.faults.append(("GET photos/in/photo-002.png", BUSY, fault))
    with pytest.raises(ChromascapeError) as caught:
        inspect(params, kept)
    assert str(caught.value).startswith(f"data.dir: {IN}/photo-002.png: {said}")
    assert sum("photo-002" in request for request in s3.requests) == requests
    s3.faults.clear()
    s3.put_folder(folder, "photos/in")  # the same bytes, at a new time
    other = (folder / "sample-landscapes" / "photo-020.png").read_bytes()
    s3.send("PUT", "photos/in/photo-000.png", other)  # known, but another one by now
    s3.requests.clear()
    resumed = inspect(params, kept)
    pd.testing.assert_frame_equal(resumed, inspect(params))
    s3.requests.clear()
    pd.testing.assert_frame_equal(resumed, inspect(params, kept))
    # What can't be known again: the byte of the check, and files without a row that holds their content.
    assert s3.since() == {"LIST": 1, "GET": 1 + 1}


@pytest.mark.parametrize("fault", ["AccessDenied", "NoSuchKey"])
def test_one_object_that_is_closed_or_gone_is_rejected_alone(folder: Path, params: Params, s3: S3, fault: str) -> None:
    s3.faults.append(("GET photos/in/photo-002.png", 9, fault))
    found = inspect(params)
    assert found["problem"]["photo-002.png"] == "unreadable"
    assert found["detail"]["photo-002.png"] == f"{fault}, as the test says"
    assert found["sha256"].notna().sum() == 16 - 1 - 2  # the empty one and the large one have none


def test_an_object_that_changed_since_it_was_validated_stops_the_shards(
    folder: Path, params: Params, tmp_path: Path, s3: S3
) -> None:
    manifest, _ = validate_folder(Source(IN), params.data, params.validate_, tmp_path / "docs", 1)
    s3.send("PUT", "photos/in/photo-002.png", b"another")
    with pytest.raises(ChromascapeError, match=f"{IN}/photo-002.png: changed since it was validated, but"):
        write_shards(tmp_path / "lab", Source(IN), manifest, 64, "crop", 1, 1)


def test_an_object_that_grew_since_it_was_listed_is_read_to_the_limit_only(few: None, s3: S3) -> None:
    with pytest.raises(PhotoError, match="1 MB, more than the limit of 0 MB"):
        Source(IN).read("large.jpg", source.Limits(max_file_bytes=100_000))
    assert len(remote.read(IN, "large.jpg", 100_001)) == 100_001


@pytest.mark.parametrize(
    ("request_", "fault", "said"),
    [
        ("LIST", "InvalidAccessKeyId", "the access key is wrong: check AWS_ACCESS_KEY_ID"),
        ("LIST", "SignatureDoesNotMatch", "the secret key is wrong: check AWS_SECRET_ACCESS_KEY"),
        ("LIST", "AccessDenied", "no permission to list it: these keys need s3:ListBucket"),
        ("GET", "AccessDenied", "no permission to read its files: these keys need s3:GetObject"),
        ("LIST", "RequestTimeTooSkewed", "the clock of this machine is wrong: set it"),
    ],
)
def test_keys_that_do_not_fit_are_named_at_once(few: None, s3: S3, request_: str, fault: str, said: str) -> None:
    s3.faults.append((request_, 99, fault))
    assert refused(IN).startswith(f"data.dir: {IN}: {said}")
    assert len(s3.requests) <= 3


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("s3://no-such-bucket/in", "s3://no-such-bucket/in: there is no such bucket: check its name"),
        ("s3://photos/no", "s3://photos/no holds no files: check its name, which is case-sensitive"),
        ("s3://photos/in/gray.png", "s3://photos/in/gray.png is a file: write the folder that holds the photos"),
        ("s3://", "s3://: names no bucket: write s3://BUCKET/FOLDER"),
        ("s3://a b/c", "s3://a b/c: no bucket can have this name: write s3://BUCKET/FOLDER"),
        ("s4://photos/in", "s4://photos/in: Protocol not known: s4"),
        ("ftp://me:secret@photos/in", "has a password in it"),
        ("s3://me:sec/ret@photos/in", "has a password in it"),
    ],
)
def test_a_wrong_place_is_named(few: None, location: str, said: str) -> None:
    line = refused(location)
    assert line.startswith(f"data.dir: {said}") and "secret" not in line


def test_without_keys_one_line_says_so(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 9.0)  # other options: none of the kept clients
    assert refused(IN) == f"data.dir: {IN}: {remote.FINAL['NoCredentialsError']}"


def test_a_region_that_hangs_gives_a_line_in_time(few: None, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "READ_SECONDS", 0.2)
    s3.faults.append(("LIST", 99, 1.0))
    start = time.monotonic()
    assert refused(IN).startswith(f"data.dir: {IN}: no answer: check network, region and AWS_ENDPOINT_URL")
    assert time.monotonic() - start < 20 and len(s3.requests) == BUSY


def test_a_read_ends_in_time_even_where_bytes_drip(few: None, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LONGEST_READ", 0.3)
    s3.faults.append(("GET", 99, 1.0))
    with pytest.raises(ChromascapeError, match=r"gray.png: no answer: .* goes on later \(FSTimeoutError\)"):
        Source(IN).read("gray.png")


def test_a_slow_network_is_no_slow_photo(folder: Path, params: Params, s3: S3) -> None:
    limited = params.validate_.model_copy(update={"seconds": 1.0})
    s3.faults.append(("GET photos/in/photo-003.png", 1, 1.5))
    found = inspection.inspect_folder(Source(IN), limited, 1).set_index("path")
    assert pd.isna(found["problem"]["photo-003.png"])


@pytest.mark.parametrize(
    ("location", "said"),
    [("s3://a/b", "[s3]"), ("gs://a/b", "install gcsfs, and what DVC needs for it, such as dvc-gs")],
)
def test_a_missing_package_is_named(location: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("install gcsfs")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    line = refused(location)
    assert line.startswith(f"data.dir: {location} needs a package: ") and said in line


def test_any_file_system_that_fsspec_opens_will_do(folder: Path, params: Params) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/photos", recursive=True)
    try:
        here, there = (
            inspection.inspect_folder(Source(place), params.validate_, 1) for place in (str(folder), "memory://photos")
        )
    finally:
        memory.rm("/photos", recursive=True)
    pd.testing.assert_frame_equal(there, here)


def test_doctor_counts_objects(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_params: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (finding,) = data_found(make_params({"data.dir": IN}))
    assert finding.level == "ok" and finding.text.startswith("3 files, ")
    assert finding.text.endswith(f" in {IN}, all trackable by DVC")
    (finding,) = disk_found(make_params({"data.dir": IN, "train.device": "cpu"}))
    assert finding.level == "ok"


@pytest.mark.scale
def test_a_machine_that_may_not_read_says_so_and_rejects_nothing(folder: Path, s3: S3) -> None:
    """As a worker of a cluster with other keys."""
    s3.put_folder(folder, "photos/in")
    names = list(Source(IN).entries)
    before = len(s3.requests)
    Source(IN).check_seen(names[0], names[-1])
    assert s3.since(before) == {"GET": 1}, "of each chunk of a cluster, as docs/scale.md counts"
    s3.faults.append(("GET photos/in/", 99, "AccessDenied"))
    with pytest.raises(ChromascapeError, match="no permission to read its files"):
        Source(IN).check_seen(names[0], names[-1])
    assert s3.since(before) == {"GET": 3}
