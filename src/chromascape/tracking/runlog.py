"""What the stages write to a run: epochs, figures, photos, files, pictures and the model."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image
from tqdm import tqdm

from chromascape.files import sha256_of_file, write_json
from chromascape.params import Params
from chromascape.photos.reading import open_photo, to_rgb
from chromascape.photos.source import read_bytes, shown_name
from chromascape.tracking import artifacts, names
from chromascape.tracking.figures import constants_of, metrics_of, result_in_words
from chromascape.tracking.page import RUN_FILE, TRAINED, run_identity
from chromascape.tracking.server import without_credentials


class RunLog:
    """One MLflow run, as the stages write to it.

    No method raises where MLflow fails: that is told once, in a line on stderr, and costs no weights or metrics.

    Attributes:
        params: that the run is named by.
        description: what the run and its model are described as: the result, once there is one.
        run_id, experiment: MLflow's ids; empty where not even a run could be started.
        complete: whether everything has reached MLflow so far.
        waiting: metrics that MLflow has refused so far: name, value, milliseconds and step.
        logged: names and steps of the metrics that the run had when it was gone on with.
    """

    def __init__(self, params: Params, way_out: str):
        self.params, self.description = params, names.description(params)
        self.run_id, self.experiment, self.complete = "", "", True
        self.client: Any = None
        self._way_out, self._told = way_out, False
        self.waiting: list[tuple[str, float, int, int]] = []
        self.logged: set[tuple[str, int]] = set()

    def attempt(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
        """Whether the call went well; the first failure is told."""
        try:
            call(*arguments, **named)
        except Exception as error:  # whatever it is: hours of training weigh more
            if not self._told:
                tqdm.write(f"warning: MLflow failed ({reason(error)}): {self._way_out}", file=sys.stderr)
            self._told = True
            return False
        return True

    def record(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """A call that the run is incomplete without; after a failure no other one waits for a server in vain."""
        self.complete = self.complete and self.attempt(call, *arguments, **named)

    def epoch(self, row: dict[str, float]) -> None:
        """A row of the training history: epoch, train_loss, val_loss, gray_val_loss, lr. One call of the server."""
        now = int(time.time() * 1000)
        names = ("train_loss", "val_loss", "gray_val_loss", "lr")
        self.waiting += [(name, row[name], now, int(row["epoch"])) for name in names]
        self._send()

    def images_per_second(self, value: float) -> None:
        """Speed of the whole training."""
        self.waiting.append(("train/images_per_second", value, int(time.time() * 1000), 0))
        self._send()

    def _send(self) -> None:
        """Log what waits; what fails waits for the next time, so that a short breakdown loses nothing."""
        from mlflow.entities import Metric

        metrics = [Metric(*values) for values in self.waiting if (values[0], values[3]) not in self.logged]
        if self.attempt(self.client.log_batch, self.run_id, metrics=metrics):
            self.waiting = []

    def trained(self, weights: Path) -> None:
        """Mark the run as the one of these weights, which `continue_run` goes on with."""
        if self.waiting:
            self._send()
        self.complete = self.complete and not self.waiting
        digest = sha256_of_file(weights)
        self.record(self.client.set_tag, self.run_id, "chromascape.weights_sha256", digest)
        self.record(self.client.set_tag, self.run_id, "chromascape.state", TRAINED)
        if self.complete:
            self.record(write_json, run_identity(self.run_id, self.experiment, digest, TRAINED), RUN_FILE)

    def figures(self, figures: dict[str, Any], split: str = "test") -> None:
        """Figures as metrics, tags, an artifact and the run's description, as `tracking.figures` says.

        Args:
            figures: as `judging.evaluation.summarize` returns them.
            split: whose they are: test or val.
        """
        import mlflow

        self.description = f"{names.description(self.params)}\n\n{result_in_words(figures, split)}"
        tags = constants_of(figures, split) | {"mlflow.note.content": self.description}
        new = {name: value for name, value in metrics_of(figures, split).items() if (name, 0) not in self.logged}
        self.record(mlflow.log_metrics, new, run_id=self.run_id)
        self.record(lambda: mlflow.set_tags(tags))
        self.record(lambda: self.client.log_dict(self.run_id, figures, f"figures/{split}.json"))

    def photos(self, manifest: pd.DataFrame, folder: str) -> None:
        """The accepted photos of each split as logged datasets."""
        accepted = manifest[manifest["verdict"] == "accepted"]
        for split, context in {"train": "training", "val": "validation", "test": "test"}.items():
            rows = accepted.loc[accepted["split"] == split, ["path", "sha256", "width", "height", "colorfulness"]]
            rows = rows.assign(path=rows["path"].map(shown_name)).astype({"width": float, "height": float})
            self.record(artifacts.log_photos, rows, folder, split, context)

    def files(self, paths: list[Path]) -> None:
        """Files as artifacts, under their names."""
        for path in paths:
            self.record(lambda file: self.client.log_artifact(self.run_id, file), str(path))

    def pictures(self, folder: Path) -> None:
        """The pictures of a folder, which the page shows beside those of the same names in other runs."""
        for number, file in enumerate(sorted(folder.glob("*.jpg")), start=1):
            self.record(self._picture, to_rgb(open_photo(read_bytes(file))), number, file.stem)

    def _picture(self, picture: Image.Image, number: int, name: str) -> None:
        self.client.log_image(self.run_id, artifacts.quilt(picture), key=f"photos/photo-{number}", step=0)
        self.client.set_tag(self.run_id, f"chromascape.photo-{number}", name)

    def model(self, folder: Path) -> None:
        """The model as a pyfunc that colorizes a photo of any size, with the code and the weights that it needs."""
        self.record(artifacts.log_model, folder, names.model_name(self.params), self.description)


def reason(error: Exception) -> str:
    """An error as a part of a line, without the secrets of the server's address."""
    text = without_credentials(" ".join(str(error).split())) or "no reason given"
    return f"{type(error).__name__}: {text[:200]}"
