"""Which photos of a folder look most alike without being known as one scene: `python experiments/alike.py FOLDER`.

Writes a sheet of pairs to look at, the most alike first, and prints how many pairs have which likeness. It shows what
`reports/validation.html` finds across splits, for all photos at once.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

from chromascape.params import Data, Validate
from chromascape.photos.likeness import most_alike
from chromascape.photos.reading import open_photo, to_rgb
from chromascape.photos.validation import validate_folder

SIDE, COLUMNS = 130, 6  # pixels of a photo, pairs in a row


def main() -> None:
    """Print the table and write the sheet."""
    parser = argparse.ArgumentParser(description="Pairs of photos that look alike and are in different scenes.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=48, help="so many are on the sheet")
    parser.add_argument("-o", "--output", type=Path, default=Path("alike.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as docs:
        data, validate = Data(dir=str(options.folder)), Validate(min_accepted=3, max_rejected_share=1)
        manifest, _ = validate_folder(options.folder, data, validate, Path(docs) / "docs", jobs=0)
    photos = manifest[manifest["verdict"] == "accepted"]
    pairs = most_alike(photos["likeness"], photos["group"], len(photos))  # as if each scene were a split
    print(f"{len(photos)} photos of {photos['group'].nunique()} scenes; the most alike of another scene:")
    for least in (0.7, 0.75, 0.8, 0.85, 0.9):
        print(f"likeness {least} and more: {sum(likeness >= least for *_, likeness in pairs)} pairs")
    shown = pairs[: options.pairs]
    sheet = Image.new("RGB", (COLUMNS * (2 * SIDE + 14), -(-len(shown) // COLUMNS) * (SIDE + 18)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (one, other, likeness) in enumerate(shown):
        left, top = number % COLUMNS * (2 * SIDE + 14), number // COLUMNS * (SIDE + 18)
        names = [photos["path"].iloc[row] for row in (one, other)]
        pen.text((left, top), f"{number + 1}: {likeness:.2f} " + " ".join(name[-16:] for name in names), "black")
        for at, name in enumerate(names):
            photo = to_rgb(open_photo((options.folder / name).read_bytes()), SIDE)
            photo.thumbnail((SIDE, SIDE))
            sheet.paste(photo, (left + at * (SIDE + 2), top + 14))
    sheet.save(options.output)
    print(f"{options.output}: {len(shown)} pairs")


if __name__ == "__main__":
    main()
