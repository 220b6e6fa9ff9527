"""`reports/validation.html`: thumbnails of rejected files, of photos of one scene, and of others that look alike."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from chromascape.parallel import in_parallel
from chromascape.params import Validate
from chromascape.photos import likeness, reading, rules, source
from chromascape.photos.inspection import limits_of, seconds_of
from chromascape.photos.manifest import summarize
from chromascape.photos.pages import data_uri, render_page
from chromascape.photos.source import Source, source_of

THUMBNAIL = 200  # pixels, longer side
# At most this many files are shown for each reason, for each scene, and in total, so that the page stays small.
PER_REASON, PER_SCENE, IN_TOTAL = 24, 8, 300
ALIKE = 12  # pairs of photos in different splits that look alike, besides
FEW = 48  # thumbnails take less time than starting a second process
RARE = 3  # combinations of reasons with fewer files share one heading


def render_gallery(
    manifest: pd.DataFrame, place: Path | Source, validate: Validate, stopped: str | None, jobs: int
) -> str:
    """The page as HTML. It contains no times, so the same photos give the same bytes.

    Args:
        stopped: the line that says why the pipeline stops, if it does.
    """
    left_out = manifest["reasons"].isin([rule.reason for rule in rules.RULES if rule.of_set])
    scenes, n_scenes = _scenes(manifest, left_out)
    rejected = _rejected(manifest[(manifest["verdict"] == "rejected") & ~left_out])
    alike = _alike(manifest)
    photos = source_of(place)
    shown = [file for group in [*scenes, *rejected, *alike] for file in group["files"]]
    _add_thumbnails(shown, manifest, photos, validate, jobs)
    return render_page(
        Path(__file__).with_name("gallery.html.j2"),
        folder=source.shown_name(str(photos)),
        stopped=stopped and source.shown_name(stopped),
        counts=summarize(manifest),
        described={rule.reason: rule.description for rule in rules.RULES},
        scenes=scenes,
        n_scenes=n_scenes,
        alike=alike,
        entry=json.dumps([file["folder"] + file["name"] for file in alike[0]["files"]], ensure_ascii=False)
        if alike
        else "",
        running=likeness.running_note(manifest),
        rejected=rejected,
        n_rejected=int(((manifest["verdict"] == "rejected") & ~left_out).sum()),
        n_copies=int((manifest["reasons"] == "exact_duplicate").sum()),
        n_further=int((manifest["reasons"] == "same_scene").sum()),
    )


def _rejected(manifest: pd.DataFrame) -> list[dict[str, Any]]:
    """Rejected files by their combination of reasons: the most frequent first, the rare ones in one group."""
    counts = manifest["reasons"].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    titles = manifest["reasons"].where(manifest["reasons"].map(counts) >= RARE, "")
    groups, left = [], IN_TOTAL * 2 // 3
    for reasons in [*(reasons for reasons, count in counts.items() if count >= RARE), ""]:
        rows = manifest[titles == reasons]
        rows = rows if reasons else rows.sort_values("reasons", kind="stable")
        count = min(len(rows), PER_REASON, left)
        left -= count
        if len(rows):
            groups.append(_group(str(reasons).replace(";", ", ") or "Other reasons", rows, count))
    return groups


def _scenes(manifest: pd.DataFrame, left_out: pd.Series) -> tuple[list[dict[str, Any]], int]:
    """Scenes with several usable photos, those with most photos left out first, then by size; and how many they are."""
    usable = manifest[(manifest["verdict"] == "accepted") | left_out]
    several = usable[usable.groupby("group")["path"].transform("size") > 1]
    ranked = sorted(
        several.groupby("group"),
        key=lambda scene: (-int(left_out[scene[1].index].sum()), -len(scene[1]), scene[1].index[0]),
    )
    groups, left = [], IN_TOTAL // 3
    for _, rows in ranked:
        if left < 2:
            break
        count = min(len(rows), PER_SCENE, left)
        left -= count
        groups.append(_group(f"{len(rows)} photos of one scene", _side_by_side(rows, left_out), count))
    return groups, len(ranked)


def _alike(manifest: pd.DataFrame) -> list[dict[str, Any]]:
    """Pairs of used photos in different splits that look most alike, the most alike first."""
    used = manifest[manifest["split"].notna() & manifest["likeness"].notna()]
    pairs = likeness.most_alike(used["likeness"], used["split"], ALIKE)
    return [_group(f"Likeness {found:.2f}", used.iloc[[one, other]], 2) for one, other, found in pairs]


def _side_by_side(rows: pd.DataFrame, left_out: pd.Series) -> pd.DataFrame:
    """The photos of a scene: equal files first and adjacent, then those that are used, then the others."""
    single = ~rows.duplicated("sha256", keep=False)
    first = rows.groupby("sha256")["path"].transform(lambda paths: paths.index[0]).mask(single, 0)
    order = pd.DataFrame({"single": single, "first": first, "out": left_out[rows.index], "row": rows.index})
    return rows.loc[order.sort_values(["single", "first", "out", "row"]).index]


def _group(title: str, rows: pd.DataFrame, count: int) -> dict[str, Any]:
    """The first `count` files below one heading, as the template reads them; `more` further ones are not shown."""
    return {"title": title, "files": [_file(row) for row in rows.head(count).itertuples()], "more": len(rows) - count}


def _file(row: Any) -> dict[str, Any]:
    """A row of `itertuples` as a file to show, without its thumbnail."""
    accepted = row.verdict == "accepted"
    folder, slash, name = source.shown_name(row.path).rpartition("/")
    return {
        "row": row.Index,
        "folder": folder + slash,
        "name": name,
        "facts": _facts(row),
        "status": f"used: {row.split}" if accepted else ", ".join(row.reasons.split(";")),
        "accepted": accepted,
        "thumbnail": None,
        "detail": source.shown_name(row.detail) if isinstance(row.detail, str) else "",
    }


def _facts(row: Any) -> str:
    """Format, mode, size and what its reasons are about, as far as known."""
    reasons = row.reasons.split(";")
    facts = [text for text in (row.format, row.mode) if isinstance(text, str)]
    facts += [f"{row.width} × {row.height}"] if pd.notna(row.width) else []
    facts += [f"bit depth {row.bit_depth}"] if "bit_depth" in reasons and pd.notna(row.bit_depth) else []
    facts += [f"colorfulness {row.colorfulness:.1f}"] if "gray" in reasons and pd.notna(row.colorfulness) else []
    return ", ".join(facts)


def _add_thumbnails(
    files: list[dict[str, Any]], manifest: pd.DataFrame, photos: Source, validate: Validate, jobs: int
) -> None:
    """Add thumbnails of the files that validation could read; others, such as pipes, are not opened again."""
    readable = [file for file in files if pd.isna(manifest.at[file["row"], "problem"])]
    limits = limits_of(validate)
    tasks = ((photos, manifest.at[file["row"], "path"], limits) for file in readable)
    jobs = jobs if len(readable) > FEW else 1
    seconds = seconds_of(photos, validate)
    pictures = in_parallel(thumbnail, tasks, jobs, len(readable), "thumbnails", seconds, lambda *lost: (None, lost[-1]))
    for file, (picture, problem) in zip(readable, pictures, strict=True):
        file.update(thumbnail=picture, detail=file["detail"] or problem)


def thumbnail(photos: Source, name: str, limits: source.Limits) -> tuple[str | None, str]:
    """A data URI of the photo at `THUMBNAIL` pixels and no problem, or None and the problem."""
    try:
        image = reading.to_rgb(reading.open_photo(photos.read(name, limits), limits), THUMBNAIL)
    except source.PhotoError as error:
        return None, str(error)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return data_uri(image, quality=80), ""
