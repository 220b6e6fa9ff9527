"""What the stages write to a run: epochs, figures, photos, files, pictures and the model."""

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from chromascape.files import sha256_of_file, write_json
from chromascape.params import Params
from chromascape.photos.source import shown_name
from chromascape.tracking import artifacts, names
from chromascape.tracking.delivery import Courier
from chromascape.tracking.endings import NOTE, ending_tags
from chromascape.tracking.figures import constants_of, metrics_of, result_in_words
from chromascape.tracking.page import RUN_FILE, TRAINED, run_identity

EPOCH = ("train_loss", "val_loss", "gray_val_loss", "lr")


class RunLog:
    """One MLflow run, as the stages write to it.

    No method raises or waits where MLflow fails: what it is given lies in an outbox until MLflow has taken it.

    Attributes:
        params: that the run is named by.
        description: what the run and its model are described as: the result, once there is one.
        run_id, experiment: MLflow's ids; empty where not even a run could be started.
        courier: delivers.
        logged: names and steps of the metrics that the run had when it was gone on with.
    """

    def __init__(self, params: Params):
        self.params, self.description = params, names.description(params)
        self.run_id, self.experiment = "", ""
        self.courier: Courier
        self.logged: set[tuple[str, int]] = set()

    def epoch(self, row: dict[str, float]) -> None:
        """A row of the training history: epoch, train_loss, val_loss, gray_val_loss, lr."""
        self.metrics({name: row[name] for name in EPOCH}, int(row["epoch"]))

    def images_per_second(self, value: float) -> None:
        """Speed of the whole training."""
        self.metrics({"train/images_per_second": value})

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Metrics at a step, now; those that the run has are not logged again."""
        rows = [[name, value, _now(), step] for name, value in values.items() if (name, step) not in self.logged]
        if rows:
            self.courier.add("metrics", rows=rows)

    def tags(self, values: dict[str, str]) -> None:
        """Tags of the run."""
        self.courier.add("tags", values=values)

    def trained(self, weights: Path) -> None:
        """Mark the run as the one of these weights, which `continue_run` goes on with."""
        digest = sha256_of_file(weights)
        self.tags({"chromascape.weights_sha256": digest, "chromascape.state": TRAINED})
        with suppress(OSError):  # evaluation makes a run of its own then
            write_json(run_identity(self.run_id, self.experiment, digest, TRAINED, self.params), RUN_FILE)

    def figures(self, figures: dict[str, Any], split: str = "test") -> None:
        """Figures as metrics, tags, an artifact and the run's description, as `tracking.figures` says.

        Args:
            figures: as `judging.evaluation.summarize` returns them.
            split: whose they are: test or val.
        """
        self.description = f"{names.description(self.params)}\n\n{result_in_words(figures, split)}"
        self.metrics(metrics_of(figures, split))
        self.tags(constants_of(figures, split) | {NOTE: self.description})
        text = json.dumps(figures, indent=2)
        self._file(self.courier.keep(f"{split}.json", lambda path: path.write_text(text)), "figures")

    def photos(self, manifest: pd.DataFrame, folder: str) -> None:
        """The accepted photos of each split as logged datasets."""
        accepted = manifest[manifest["verdict"] == "accepted"]
        for split, context in {"train": "training", "val": "validation", "test": "test"}.items():
            rows = accepted.loc[accepted["split"] == split, ["path", "sha256", "width", "height", "colorfulness"]]
            rows = rows.assign(path=rows["path"].map(shown_name)).astype({"width": float, "height": float})
            self.courier.add("dataset", values=artifacts.dataset_of(rows, folder, split), context=context)

    def files(self, paths: list[Path]) -> None:
        """Files as artifacts, under their names."""
        for path in paths:
            self._file(self._copy(path), "")

    def pictures(self, folder: Path) -> None:
        """The pictures of a folder, which the page shows beside those of the same names in other runs."""
        for number, file in enumerate(sorted(folder.glob("*.jpg")), start=1):
            self.courier.add("picture", file=self._copy(file), picture=f"photos/photo-{number}", time=_now())
            self.tags({f"chromascape.photo-{number}": file.stem})

    def model(self, folder: Path) -> None:
        """The model as a pyfunc that colorizes a photo of any size, with the code and the weights that it needs."""
        laid = self.courier.keep("model", lambda into: artifacts.lay_model(folder, into), folder=True)
        named = {"name": names.model_name(self.params), "description": self.description}
        if laid:
            self.courier.add("model", file=laid, requirements=artifacts.requirements(), **named)

    def end(self, status: str) -> None:
        """How the run ends: FINISHED, FAILED or KILLED."""
        if status != "FINISHED":
            self.tags(ending_tags(status, self.description))
        self.courier.add("status", status=status, time=_now(), note=self.description)

    def _copy(self, path: Path) -> str:
        """A copy in the outbox, so that what was logged is delivered; the file itself where the disk takes none."""
        return self.courier.keep(path.name, lambda copy: shutil.copyfile(path, copy)) or str(path.absolute())

    def _file(self, copy: str, under: str) -> None:
        """An artifact in a folder of the run's artifacts; nothing where no copy could be made."""
        if copy:
            self.courier.add("file", file=copy, under=under)


def _now() -> int:
    """Milliseconds, as MLflow counts them."""
    return int(time.time() * 1000)
