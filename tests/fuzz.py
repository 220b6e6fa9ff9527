"""Hostile files, made from small generated photos by a seed, and the long run over them: `make fuzz`.

Each file goes through what the stages do with it, in a worker process that can be ended. A breach is a file without a
verdict, one that hangs or crashes its reader, or a reader that takes more memory than MEMORY_MB.
"""

import argparse
import io
import os
import random
import socket
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from conftest import make_photo, png
from memory import peak_bytes
from PIL import Image
from tqdm import tqdm

from chromascape.parallel import in_parallel
from chromascape.photos import gallery, inspection, source
from chromascape.photos.shards import photo_to_lab

LIMITS = source.Limits(max_pixels=4_000_000, max_file_bytes=20_000_000)
SECONDS = 60.0
MEMORY_MB = 1500.0  # of the largest worker: its packages, and a few copies of LIMITS.max_pixels
BREACHES = ("too_slow", "crashed", "no verdict")
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "gif": "GIF"}
NAMES = [
    "new\nline",
    "emoji 🏞️",
    "<script>alert(1)</script>",
    "'\"&;$(x)",
    "..%2f",
    " ",
    "-rf",
    os.fsdecode(b"\xff\xe9"),
]

Random = random.Random


def seeds(random: Random) -> tuple[bytes, str]:
    """A small photo that is whole, in one of FORMATS, with EXIF, a profile or several pictures at times."""
    extension = random.choice(list(FORMATS))
    image = Image.fromarray(make_photo(random.randrange(50), random.randrange(8, 90), random.randrange(8, 90)))
    image = image.convert(random.choice(["RGB", "RGB", "L", "CMYK"] if extension in ("jpg", "tif") else ["RGB", "L"]))
    options: dict[str, Any] = {}
    if random.random() < 0.4:
        options["exif"] = exif_block(random)
    if random.random() < 0.2:
        options["icc_profile"] = random.randbytes(random.randrange(200))
    if extension in ("gif", "webp", "tif") and random.random() < 0.3:
        options |= {"save_all": True, "append_images": [image.rotate(90)] * random.randrange(1, 4)}
    if extension == "tif":
        options.pop("exif", None)
        options["compression"] = random.choice([None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
    if extension == "jpg":
        options["progressive"] = random.random() < 0.5
    stream = io.BytesIO()
    image.save(stream, FORMATS[extension], **options)
    return stream.getvalue(), extension


def exif_block(random: Random) -> bytes:
    """EXIF whose entries are odd: counts and offsets that lie outside, directories that point at themselves."""
    count = random.randrange(1, 30)
    tags = [0x0112, 0x8769, 0x8825, 0xA005, 0x010F, 0x9003, 0x927C, 0x014A]
    entries = b"".join(
        struct.pack(
            "<HHII", random.choice(tags), random.randrange(14), random.choice([1, 2, 9, 2**31, 2**32 - 1]),
            random.choice([0, 8, 10, 26, 2**32 - 1, random.randrange(400)]),
        )
        for _ in range(count)
    )  # fmt: skip
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + struct.pack("<I", random.choice([0, 8]))


def whole(random: Random) -> tuple[bytes, str]:
    """A file as it was written."""
    return seeds(random)


def mutated(random: Random) -> tuple[bytes, str]:
    """Some bytes changed, most of them in the header."""
    data, extension = seeds(random)
    changed = bytearray(data)
    for _ in range(random.choice([1, 2, 5, 30])):
        at = random.randrange(min(len(changed), random.choice([40, 400, len(changed)])))
        changed[at] = random.choice([0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)])
    return bytes(changed), extension


def truncated(random: Random) -> tuple[bytes, str]:
    """Cut anywhere."""
    data, extension = seeds(random)
    return data[: random.randrange(len(data))], extension


def spliced(random: Random) -> tuple[bytes, str]:
    """The head of one file, the tail of another, or a piece of a file many times over."""
    (data, extension), (other, _) = seeds(random), seeds(random)
    at, more = random.randrange(len(data)), random.randrange(len(other))
    return data[:at] + random.choice([other[more:], data[at : at + 200] * 50 + data[at:]]), extension


def rubbish(random: Random) -> tuple[bytes, str]:
    """Random bytes after a format's first ones."""
    heads = [
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\xff\xff\xff\xffWEBPVP8X",
        b"II*\0\x08\0\0\0",
        b"GIF89a",
        b"",
    ]
    return random.choice(heads) + random.randbytes(random.randrange(3000)), random.choice(list(FORMATS))


def absurd_size(random: Random) -> tuple[bytes, str]:
    """A header that tells of more pixels than there are."""
    side = random.choice([0, 1, 1999, 30_000, 65_535, 2**31 - 1, 2**32 - 1])
    across = random.choice([1, 1999, 65_535, side])
    gif = b"GIF89a" + struct.pack("<HH", side & 0xFFFF, across & 0xFFFF) + b"\x80\0\0" + bytes(6)
    data, _ = seeds(Random(random.random()))
    tiff = tiff_of([(256, 4, 1, side & 0xFFFFFFFF), (257, 4, 1, across & 0xFFFFFFFF)], random)
    return random.choice([(png(side, across, 8, 2, bytes(100)), "png"), (gif + data, "gif"), (tiff, "tif")])


def tiff_of(entries: list[tuple[int, int, int, int]], random: Random) -> bytes:
    """A TIFF by hand with one directory, which comes next again at times."""
    rest = [
        (258, 3, 1, 8),
        (259, 3, 1, random.choice([1, 5, 7, 8, 32773, 34925])),
        (262, 3, 1, random.choice([0, 1, 6])),
    ]
    rest += [(273, 4, random.choice([1, 2**28]), 8), (278, 4, 1, random.choice([0, 1, 2**32 - 1]))]
    rest += [(279, 4, random.choice([1, 2**28]), random.choice([8, 2**32 - 1]))]
    table = sorted(entries + rest)
    packed = b"".join(struct.pack("<HHII", *entry) for entry in table)
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(table))
        + packed
        + struct.pack("<I", random.choice([0, 8]))
        + bytes(64)
    )


def bomb(random: Random) -> tuple[bytes, str]:
    """Few bytes that become many: pixels just within and beyond the limits, and texts of PNG."""
    side = random.choice([1990, 2010, 6000])
    if random.random() < 0.5:
        return png(side, side, 8, 0, bytes((side + 1) * side)), "png"
    chunk = b"x\0\0" + zlib.compress(bytes(random.choice([10_000, 3_000_000, 80_000_000])), 1)
    name = random.choice([b"zTXt", b"iTXt", b"iCCP"])
    text = struct.pack(">I", len(chunk)) + name + chunk + struct.pack(">I", zlib.crc32(name + chunk))
    plain = png(16, 16, 8, 2, bytes(16 * 49))
    return plain[:33] + text * random.choice([1, 3]) + plain[33:], "png"


def endless(random: Random) -> tuple[bytes, str]:
    """A GIF with thousands of frames or comments, cut short or without an end."""
    head = b"GIF89a" + struct.pack("<HH", 8, 8) + b"\x80\0\0" + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\x02\x02\x4c\x01\0"
    comment = b"!\xfe\xff" + bytes(255) + b"\0"
    return head + random.choice([frame, comment]) * random.choice([1000, 20_000]) + random.choice(
        [b"", b";", frame]
    ), "gif"


# Every kind of hostile content, and how often it is drawn.
KINDS: dict[Callable[[Random], tuple[bytes, str]], int] = {
    whole: 6, mutated: 40, truncated: 12, spliced: 14, rubbish: 8, absurd_size: 12, bomb: 3, endless: 3,
}  # fmt: skip


def write_files(folder: Path, count: int, seed: int) -> list[str]:
    """Write `count` hostile files; returns their names. The same seed gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number in range(count):
        drawn = Random(f"{seed}/{number}")
        kind = drawn.choices(list(KINDS), list(KINDS.values()))[0]
        data, extension = kind(drawn)
        strange = drawn.choice(NAMES) if drawn.random() < 0.1 else ""
        names.append(f"{number:05}-{kind.__name__}{strange}.{extension}".replace("/", "-"))
        (folder / names[-1]).write_bytes(data)
    return names


def write_strange(folder: Path) -> list[str]:
    """What is no file at all: pipe, socket, device, loops, and a folder that is named as a photo; returns the names."""
    (folder / "folder.jpg").mkdir(parents=True)
    (folder / "folder.jpg" / "inside.png").write_bytes(png(16, 16, 8, 2, bytes(16 * 49)))
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "up.jpg").symlink_to("..", target_is_directory=True)
    (folder / "zero.gif").symlink_to("/dev/zero")
    (folder / "gone.tif").symlink_to("nowhere")
    descriptor = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listening:  # names of sockets are short
        listening.bind(f"/proc/self/fd/{descriptor}/socket.webp")
    os.close(descriptor)
    return ["folder.jpg/inside.png", "gone.tif", "loop.png", "pipe.jpg", "socket.webp", "up.jpg", "zero.gif"]


def read_as_stages_do(folder: Path, name: str, limits: source.Limits) -> tuple[str, float]:
    """A file through inspection, thumbnail and, where it is a photo, to Lab; returns its verdict and the peak in MB."""
    row = inspection.inspect(folder, name, limits)
    verdict = row.get("problem") or ("mode" if row.get("detail") else "photo")
    if not row.get("problem"):
        gallery.thumbnail(source.Source(str(folder)), name, limits)
    if verdict == "photo":
        box, whole_photo = (row["left"], row["top"], row["right"], row["bottom"]), (row["width"], row["height"])
        lab = photo_to_lab(source.read_bytes(folder / name, limits), box, whole_photo, 64, "crop")
        assert lab.shape == (3, 64, 64) and lab.dtype == np.uint8
    return verdict, peak_bytes() / 1e6


def caught(folder: Path, name: str, limits: source.Limits) -> tuple[str, str, float]:
    """`read_as_stages_do` where nothing may be raised: name, verdict, peak memory in MB."""
    try:
        return name, *read_as_stages_do(folder, name, limits)
    except Exception as error:
        return f"{name}: {type(error).__name__}: {error}", "no verdict", 0.0


def lost(folder: Path, name: str, limits: source.Limits, reason: str, detail: str) -> tuple[str, str, float]:
    return name, reason, 0.0


def run(folder: Path, names: list[str], jobs: int, seconds: float = SECONDS) -> list[tuple[str, str, float]]:
    """Name, verdict and peak memory (MB) of the worker so far, for each file, in order."""
    tasks = ((folder, name, LIMITS) for name in names)
    return list(in_parallel(caught, tasks, jobs, len(names), "fuzz", seconds, lost))


def breaches(results: list[tuple[str, str, float]]) -> list[str]:
    """What must not be, a line each."""
    return [
        f"{name!r}: {verdict}, {peak:.0f} MB"
        for name, verdict, peak in results
        if verdict in BREACHES or peak > MEMORY_MB
    ]


def main() -> int:
    """The long run; exit code 1 where there is any breach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=0)
    options = parser.parse_args()
    began, results = time.monotonic(), []
    for start in tqdm(range(0, options.count, 1000), desc="fuzz", unit="thousand", disable=None):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "photos"
            names = write_files(folder, min(1000, options.count - start), options.seed * 1_000_000 + start)
            results += run(folder, names + write_strange(folder), options.jobs)
        print(f"{len(results):,} files, {time.monotonic() - began:.0f} s", flush=True)
    for verdict, count in Counter(verdict for _, verdict, _ in results).most_common():
        print(f"{count:>7,}  {verdict}")
    print(f"{len(results):,} files in {time.monotonic() - began:.0f} s; "
          f"peak memory of the largest worker {max(peak for *_, peak in results):.0f} MB")  # fmt: skip
    found = breaches(results)
    print("\n".join(found) or "no breach")
    return 1 if found else 0


if __name__ == "__main__":
    from fuzz import main as imported  # workers look functions up in a module that they can import

    sys.exit(imported())
