"""How alike two photos look: looser than near copies, so that it finds one sunset photographed twice.

It says where to look and decides nothing: docs/tried.md has the figures.
"""

import base64
import itertools
import re
import zlib
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from chromascape.color import lab
from chromascape.photos.source import shown_name

SIDE, CELLS, TURNS, TILES = 32, 4, 8, 8  # pixels; cells and tiles across; directions of edges between 0° and 180°
EDGES = CELLS**2 * TURNS
# Cell of each pixel, as the first of its numbers among EDGES.
_CELL = np.kron(np.arange(CELLS**2).reshape(CELLS, CELLS), np.ones((SIDE // CELLS,) * 2, int)) * TURNS
FLAT = 10.0  # added to the contrast of a photo, so that fog and clear skies are not all alike
LEAST = 0.7  # likeness of a pair that is worth a look: in 600 photos 40 to 80 of 180,000 pairs have it
MOST = 2_000  # held-out photos that are compared with all others, so that each photo more costs the same

NUMBER = re.compile("[0-9]+")
MANY = 0.1  # of the photos without a time: a note is worth it where so many names run on


def describe(photo: Image.Image) -> str:
    """Where an RGB photo has edges of which direction, and where which Lab color: 320 bytes as base64.

    Edges are square roots of gradients of L* summed over cells, as in HOG (Dalal and Triggs 2005). Colors are means
    over tiles, minus the photo's own mean, as int8.
    """
    small = lab.rgb_to_lab(np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BOX)))
    down, right = np.gradient(small[..., 0])
    turn = np.arctan2(down, right) / np.pi % 1 * TURNS
    lower, share = _CELL + turn.astype(int) % TURNS, turn % 1
    upper = _CELL + (turn.astype(int) + 1) % TURNS
    strength = np.hypot(down, right)
    sums = np.bincount(lower.ravel(), (strength * (1 - share)).ravel(), EDGES)
    sums += np.bincount(upper.ravel(), (strength * share).ravel(), EDGES)
    tiles = small.reshape(TILES, SIDE // TILES, TILES, SIDE // TILES, 3).mean((1, 3))
    colors = np.clip(np.rint(tiles - tiles.mean((0, 1))), -127, 127).astype(np.int8)
    edges = np.clip(np.rint(4 * np.sqrt(sums)), 0, 255).astype(np.uint8)
    return base64.b64encode(edges.tobytes() + colors.tobytes()).decode("ascii")


def most_alike(described: pd.Series, splits: pd.Series, count: int) -> list[tuple[int, int, float]]:
    """For each held-out photo the photo of another split that looks most like it: the `count` most alike pairs.

    Of more than `MOST` held-out photos, as many are compared, drawn by their descriptions.

    Args:
        described: (N,), as `describe` returns them.
        splits: (N,), train, val or test.
    Returns:
        Numbers of the two rows, and their likeness, LEAST to 1; the highest first.
    """
    held_out = np.flatnonzero(splits != "train")
    if not len(held_out):
        return []
    if len(held_out) > MOST:
        drawn = [zlib.crc32(text.encode()) for text in described.iloc[held_out]]
        held_out = np.sort(held_out[np.argsort(drawn, kind="stable")[:MOST]])
    edges, colors = _vectors(described)
    split = pd.factorize(splits)[0]
    pairs: dict[tuple[int, int], float] = {}
    step = max(1, 2**22 // len(described))  # photos at a time: 16 MB for each array
    for start in range(0, len(held_out), step):
        rows = held_out[start : start + step]
        # Sums of products of whole numbers below 2**24 are exact, in any order and on any number of cores.
        likeness = (edges[0][rows] @ edges[0].T) * edges[1] * edges[1][rows, None]
        likeness += (colors[0][rows] @ colors[0].T) * colors[1] * colors[1][rows, None]
        likeness[split[rows, None] == split] = -np.inf
        best = likeness.argmax(axis=1)
        for row, other, sum_of_two in zip(rows.tolist(), best.tolist(), likeness.max(axis=1).tolist(), strict=True):
            pairs[min(row, other), max(row, other)] = sum_of_two / 2
    found = [(one, other, likeness) for (one, other), likeness in pairs.items() if likeness >= LEAST]
    return sorted(found, key=lambda pair: (-round(pair[2], 4), pair[:2]))[:count]


def _vectors(described: pd.Series) -> tuple[tuple[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]:
    """Edges minus their mean over all photos, and colors: whole numbers, float32 (N, K), and 1 over length, (N,)."""
    data = np.frombuffer(b"".join(map(base64.b64decode, described)), np.uint8).reshape(len(described), -1)
    edges = data[:, :EDGES].astype(np.float32)
    edges -= np.rint(edges.mean(axis=0, dtype=np.float64)).astype(np.float32)
    colors = data[:, EDGES:].view(np.int8).astype(np.float32)
    return (edges, _inverse(edges, 1)), (colors, _inverse(colors, FLAT))


def _inverse(vectors: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    return (1 / np.sqrt((vectors**2).sum(axis=1) + np.float32(least**2))).astype(np.float32)


def running_note(manifest: pd.DataFrame) -> str:
    """A sentence where photos have no EXIF time and their names run on, so that bursts may be in several splits; or "".

    Args:
        manifest: with the columns path, verdict, camera, taken and group.
    """
    used = manifest[manifest["verdict"] == "accepted"]
    untimed = used[used["taken"].isna() | used["camera"].isna()]
    pairs = running_names(untimed["path"], untimed["group"])
    count = len({row for pair in pairs for row in pair})
    if not pairs or count < MANY * len(untimed):
        return ""
    who = f"{len(untimed):,} of {len(used):,} photos have no" if len(untimed) < len(used) else "no photo has an"
    names = ", ".join(shown_name(untimed["path"].iloc[row]) for row in pairs[0])
    return (
        f"{who} EXIF time, so bursts among them can't be found, and {count:,} file names run on ({names}): frames of a "
        "film or photos of one walk may be in different splits. If so, add them to data.split.same_scene"
    )


def running_names(paths: pd.Series, groups: pd.Series) -> list[tuple[int, int]]:
    """Pairs of rows whose names differ by one in a number, such as 0423.jpg and 0424.jpg in the same folder.

    Neighbours that are known to show one scene (equal `groups`) are no news and left out.
    """
    numbered: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for row, path in enumerate(paths):
        stem = path.rpartition(".")[0] or path
        for found in NUMBER.finditer(stem, stem.rfind("/") + 1):
            start, end = found.span()
            numbered[stem[:start], stem[end:]].append((int(stem[start:end]), row))
    scene = pd.factorize(groups)[0]
    return sorted(
        (row, other)
        for names in numbered.values()
        for (number, row), (following, other) in itertools.pairwise(sorted(names))
        if following == number + 1 and scene[row] != scene[other]
    )
