"""Factors on predicted colors, fitted on photos whose true colors are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Clock, write_photos

from chromascape.color import lab
from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.model_files import CONFIG
from chromascape.learning import calibration
from chromascape.learning.calibration import MIN_PHOTOS, fit_renderings
from chromascape.photos import source
from chromascape.photos.shards import Shards, photo_to_lab

SIZE = 64


class Photos:
    """Stands for Shards."""

    def __init__(self, quantised: np.ndarray):
        self.quantised = quantised

    def __len__(self) -> int:
        return len(self.quantised)

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.quantised[rows]


class Scaled:
    """A 'colorizer' that gives the true ab times a factor."""

    def __init__(self, factor: float):
        self.factor = factor

    def network_lab(self, photo: np.ndarray) -> np.ndarray:
        return lab.join(photo[..., 0], self.factor * photo[..., 1:])


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Four photos, which are enough here."""
    paths = write_photos(tmp_path_factory.mktemp("photos"), 4)
    four = [photo_to_lab(source.read_bytes(path), (0, 0, 160, 144), (160, 144), SIZE, "crop") for path in paths]
    return Photos(np.stack(four))


@pytest.fixture
def many(known: Photos) -> Photos:
    """They again and again: the fewest that factors are really fitted on."""
    return Photos(np.resize(known.quantised, (MIN_PHOTOS, *known.quantised.shape[1:])))


@pytest.fixture(autouse=True)
def four_are_enough(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "many" not in request.fixturenames:
        monkeypatch.setattr(calibration, "MIN_PHOTOS", 4)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 2.0])
def test_colors_that_are_off_by_a_factor_are_put_right(known: Photos, factor: float) -> None:
    fitted = fit_renderings(Scaled(factor), known, calibrate=True, vivid=0.9)
    assert fitted["faithful"] * factor == pytest.approx(1, abs=0.05 * factor + 1e-6)
    assert fitted["vivid"] >= fitted["faithful"]


def test_it_is_not_silent_in_a_log(many: Photos, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(Scaled, "network_lab", clock.slow(Scaled.network_lab, 10))
    fit_renderings(Scaled(1.0), many, calibrate=True, vivid=0.9)
    times = [0, *(seconds for seconds, _ in clock.lines), clock.now]
    assert len(times) > 9 and max(np.diff(times)) <= 30 and clock.lines[0][1].startswith("calibrate: 4 of 30")


def test_without_calibration_colors_stay_as_the_network_gives_them(known: Photos) -> None:
    fitted = fit_renderings(Scaled(0.5), known, calibrate=False, vivid=0.9)
    assert fitted["faithful"] == 1.0
    assert 0.5 * fitted["vivid"] == pytest.approx(0.9, abs=0.1)


def test_wrong_colors_are_taken_back_to_gray(known: Photos) -> None:
    """The opposite of every color: any factor above 0 makes it worse, the vivid rendering's too."""
    assert fit_renderings(Scaled(-1), known, calibrate=True, vivid=0.9) == {"faithful": 0.0, "vivid": 0.0}


def test_few_photos_decide_nothing(many: Photos) -> None:
    few, kept = Photos(many.quantised[1:]), json.loads((SHIPPED / CONFIG).read_text())["renderings"]
    assert len(few) == MIN_PHOTOS - 1
    assert fit_renderings(Scaled(-1), few, calibrate=True, vivid=0.9) == kept
    assert fit_renderings(Scaled(0.5), few, calibrate=True, vivid=0.9) == kept
    assert fit_renderings(Scaled(0.5), many, calibrate=True, vivid=0.9) != kept
    assert fit_renderings(Scaled(0.5), few, calibrate=False, vivid=0.9) == kept | {"faithful": 1.0}


def test_shipped_factors_are_read_from_the_configuration_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: Photos
) -> None:
    """All the weights were read for two numbers: this model has none."""
    config = json.loads((SHIPPED / CONFIG).read_text()) | {"renderings": {"faithful": 0.35, "vivid": 1.65}}
    (tmp_path / CONFIG).write_text(json.dumps(config))
    monkeypatch.setattr(calibration, "SHIPPED", tmp_path)
    few = Photos(many.quantised[1:])
    assert fit_renderings(Scaled(1), few, calibrate=True, vivid=0.9) == {"faithful": 0.35, "vivid": 1.65}


def test_real_shards_are_read(tmp_path: Path, known: Photos) -> None:
    from chromascape.files import write_json
    from chromascape.photos.shards import _write_shard

    digest = _write_shard(tmp_path / "val-00000.npy", iter(known.quantised), len(known), SIZE)
    shard = {
        "file": "val-00000.npy",
        "split": "val",
        "sha256": digest,
        "photos": [f"{n}.png" for n in range(len(known))],
    }
    write_json({"side": SIZE, "fit": "crop", "shards": [shard]}, tmp_path / "index.json")
    fitted = fit_renderings(Scaled(0.8), Shards(tmp_path, ("val",)), calibrate=True, vivid=0.9)
    assert fitted == fit_renderings(Scaled(0.8), known, calibrate=True, vivid=0.9)
