"""Hostile photos: a short run of `make fuzz`; the same through `chromascape colorize` and the served model."""

from pathlib import Path

import fuzz
import pandas as pd
import pytest

from chromascape.cli import main
from chromascape.photos import source

pytestmark = pytest.mark.usefixtures("quick_workers")
RUN = 200  # of the files, which go through the readers here


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "photos"
    fuzz.write_files(folder, 400, seed=1)
    return folder


@pytest.fixture(scope="module")
def results(quick_workers: None, folder: Path) -> list[tuple[str, str, float]]:
    return fuzz.run(folder, source.list_files(folder)[:RUN], jobs=2)


def test_every_hostile_file_has_a_verdict_and_none_hangs_crashes_or_takes_much_memory(
    results: list[tuple[str, str, float]], folder: Path
) -> None:
    assert [name for name, *_ in results] == source.list_files(folder)[:RUN]
    assert fuzz.breaches(results) == []
    verdicts = {verdict for _, verdict, _ in results}
    assert verdicts == {"photo", "damaged", "not_an_image", "too_many_pixels", "unsupported"}
    assert max(peak for *_, peak in results) > 50  # it was measured


def test_what_is_no_file_is_unreadable_and_no_loop_is_followed(tmp_path: Path) -> None:
    names = fuzz.write_strange(tmp_path / "photos")
    assert source.list_files(tmp_path / "photos") == names
    found = {name: verdict for name, verdict, _ in fuzz.run(tmp_path / "photos", names, jobs=1)}
    assert found == dict.fromkeys(names, "unreadable") | {"folder.jpg/inside.png": "photo"}


def test_the_same_seed_gives_the_same_files_and_every_kind_and_name_is_among_them(tmp_path: Path, folder: Path) -> None:
    names = fuzz.write_files(tmp_path / "again", 60, seed=1)
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    every = source.list_files(folder)
    assert all(any(kind.__name__ in name for name in every) for kind in fuzz.KINDS)
    assert all(any(part.replace("/", "-") in name for name in every) for part in fuzz.NAMES)


def test_a_hang_a_crash_a_missing_verdict_and_much_memory_are_breaches() -> None:
    fine = [("a.jpg", "photo", 200.0), ("b.jpg", "damaged", 200.0)]
    bad = [("c", "too_slow", 0.0), ("d", "crashed", 0.0), ("e", "no verdict", 0.0), ("f", "photo", 9000.0)]
    assert len(fuzz.breaches(fine + bad)) == 4 and fuzz.breaches(fine) == []


def is_bomb(folder: Path, name: str) -> bool:
    """Whether the file has many pixels, which take long to color; then it is removed."""
    if "bomb" in name:
        (folder / name).unlink()
    return "bomb" in name


def test_colorize_tells_each_hostile_file_in_a_line_and_colors_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    names = [name for name in fuzz.write_files(photos, 30, seed=2) if not is_bomb(photos, name)]
    fuzz.write_strange(photos)
    assert main(["colorize", str(photos), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    failed = said.err.count("error: ")
    made = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    strange = 5  # all of write_strange but what lies in a folder or leads to one
    assert len(made) + failed == len(names) + strange and len(made) > 5


def test_the_served_model_refuses_hostile_bytes_as_no_photo_and_nothing_else(folder: Path) -> None:
    from chromascape.colorizing.colorizer import SHIPPED, Colorizer
    from chromascape.serving.mlflow_model import ColorizerModel, RefusedRequest

    model = ColorizerModel()
    model.colorizer = Colorizer.load(SHIPPED, "cpu")
    refused = 0
    for name in [name for name in source.list_files(folder)[:30] if "bomb" not in name]:
        try:
            (colored,) = model.predict(None, pd.DataFrame({"photo": [(folder / name).read_bytes()]}))  # type: ignore[arg-type]
            assert colored.startswith(b"\x89PNG")
        except RefusedRequest as error:
            assert "\n" not in str(error)
            refused += 1
    assert 5 < refused < 28
