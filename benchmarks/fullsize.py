"""How colors get from the network's grid to full size: enlarged along L* (`colorizing/fullsize.py`) against
interpolation alone.

    python benchmarks/fullsize.py                     # the table, on the project's landscapes
    python benchmarks/fullsize.py --picture FILE      # and a picture of the drawn tower: interpolated | along L*

The true colors are reduced to what the network knows of them, enlarged in both ways and compared with the truth, so
that the network's own errors are left out; `predicted` takes the shipped model's colors instead. `edges` are the
pixels within 4 of the strongest 2 % of the gradients of L*.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromascape import Colorizer
from chromascape.color import lab
from chromascape.colorizing.fullsize import FullSize, resize
from chromascape.photos.pixels import Photo

SIDE = 192
Float = NDArray[np.floating]


def tower(side: int = 1024) -> Float:
    """Lab (side, side, 3): a white tower and a dark hill before a blue sky, with edges of one pixel."""
    picture = np.empty((side, side, 3), np.float32)
    picture[:] = (55, -5, -35)
    picture[round(side * 0.7) :] = (30, -25, 20)
    picture[side // 6 :, round(side * 0.45) : round(side * 0.55)] = (90, 0, 3)
    return picture


def near_edges(lightness: Float) -> NDArray[np.bool_]:
    """Pixels within 4 of strong gradients of L* (H, W)."""
    gradient = np.hypot(*np.gradient(lightness))
    strong = np.pad(gradient > max(8, float(np.percentile(gradient, 98))), 4)
    height, width = lightness.shape
    found: NDArray[np.bool_] = np.any(
        [strong[y : y + height, x : x + width] for y in range(9) for x in range(9)], axis=0
    )
    return found


def both(truth: Float, known: Float, small: Float, cell: int) -> tuple[Float, Float]:
    """ab (H, W, 2) of the photo, interpolated and along its L*, from `known` at working size."""
    height, width = truth.shape[:2]
    full = FullSize(known, small, height, width, cell)
    tiles = [
        [full.ab(rows, columns, truth[rows, columns, 0]) for columns in full.columns(rows)] for rows in full.rows()
    ]
    return resize(known, height, width), np.block(tiles).transpose(1, 2, 0)


def errors(truth: Float, ab: Float) -> tuple[float, float]:
    """PSNR of ab in dB, peak 255, over all the photo and near its edges."""
    squares = ((ab - truth[..., 1:]) ** 2).mean(axis=-1)
    places = [squares, squares[near_edges(truth[..., 0])]]
    return tuple(10 * np.log10(255**2 / max(place.mean(), 1e-9)) for place in places)  # type: ignore[return-value]


def measure(truth: Float, colorizer: Colorizer) -> dict[str, list[tuple[float, float]]]:
    """Errors of both ways for each kind of known colors."""
    height, width = truth.shape[:2]
    h, w = colorizer.working_size(height, width)
    small, true = resize(truth[..., 0], h, w), resize(truth[..., 1:], h, w)
    cell = colorizer.network.cell
    grid = resize(resize(true, round(h / cell), round(w / cell)), h, w)
    predicted = resize(colorizer.predict_ab(small), h, w)
    kinds = {"true, on the grid": grid, "predicted": predicted}
    return {name: [errors(truth, ab) for ab in both(truth, known, small, cell)] for name, known in kinds.items()}


def main() -> None:
    """Print the table, and write the picture where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=Path("data/landscapes"))
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    colorizer = Colorizer.load(device="cpu")
    photos = {path.stem: Photo(Image.open(path)) for path in sorted(options.photos.glob("*.jpg"))}
    truths = {name: lab.rgb_to_lab(photo.rows(slice(0, photo.height))[0]) for name, photo in photos.items()}
    found = {name: measure(truth, colorizer) for name, truth in truths.items()}
    found["drawn tower"] = {"true, on the grid": measure(tower(), colorizer)["true, on the grid"]}
    print("| photos | colors | interpolated | along L* | gain | edges: interpolated | along L* | gain | better |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for label, names in ((f"{len(truths)} landscapes", list(truths)), ("drawn tower", ["drawn tower"])):
        for kind in found[names[0]]:
            rows = np.array([found[name][kind] for name in names])  # (photos, ways, places)
            mean = rows.mean(axis=0)
            gain = mean[1] - mean[0]
            better = f"{(rows[:, 1, 0] > rows[:, 0, 0]).sum()} of {len(rows)}"
            cells = [f"{mean[0, at]:.2f} | {mean[1, at]:.2f} | {gain[at]:+.2f}" for at in range(2)]
            print(f"| {label} | {kind} | {' | '.join(cells)} | {better} |")
    if options.picture:
        truth, size = tower(), SIDE
        small, known = (
            resize(truth[..., 0], size, size),
            resize(resize(truth[..., 1:], size // 4, size // 4), size, size),
        )
        sides = [lab.lab_to_rgb(lab.fit_to_srgb(lab.join(truth[..., 0], ab))) for ab in both(truth, known, small, 4)]
        Image.fromarray(np.concatenate([side[100:500, 330:730] for side in sides], axis=1)).save(options.picture)


if __name__ == "__main__":
    main()
