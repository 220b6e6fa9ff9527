"""MLflow's model registry: a version for each trained model, and the aliases champion and challenger.

Which of them a version gets is decided by `judging`; here it is recorded.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from chromascape.errors import ChromascapeError
from chromascape.tracking.page import EVALUATED, read_run_file
from chromascape.tracking.resolve import download, explain, model_of_run, model_of_version
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect, tracking_uri

CHAMPION, CHALLENGER = "champion", "challenger"
DIGEST = "chromascape.weights_sha256"  # tag of runs and of versions
DESCRIPTION = (
    "Colorizes gray photos. The alias `champion` is the version that beat gray by the stated margin and the champion "
    "before it on the same test photos; `challenger` is the last one that did not. Each version's tags say why."
)


class Registry:
    """The versions of one registered model.

    Attributes:
        client: MLflow's.
        name: of the registered model.
        experiment: id of the experiment whose runs are looked through.
    """

    def __init__(self, client: Any, name: str, experiment: str):
        self.client, self.name, self.experiment = client, name, experiment

    def champion(self) -> Any:
        """The version with that alias; None where there is none."""
        return self._at(CHAMPION)

    def version_of(self, digest: str) -> Any:
        """The version of these weights, made where there is none yet; None where no evaluated run has logged them.

        Args:
            digest: SHA-256 of weights.safetensors: equal weights are the same version, however often they are measured.
        """
        known = self.client.search_model_versions(f"name = '{self.name}' and tags.`{DIGEST}` = '{digest}'")
        if known:
            return max(known, key=lambda version: int(version.version))
        run = self._run_of(digest)
        model = run and model_of_run(self.client, run)
        if not model:
            return None
        if not self.client.search_registered_models(f"name = '{self.name}'"):
            self.client.create_registered_model(self.name, description=DESCRIPTION)
        return self.client.create_model_version(
            self.name,
            source=f"models:/{model.model_id}",
            run_id=run.info.run_id,
            model_id=model.model_id,
            tags={DIGEST: digest},
            description=run.data.tags.get("mlflow.note.content"),
            await_creation_for=0,
        )

    def weights(self, version: Any) -> Path:
        """The folder with a version's weights and configuration.

        Raises:
            ChromascapeError: it can't be read.
        """
        shown = f"models:/{self.name}/{version.version}"
        model = model_of_version(self.client, version)
        if model is None:
            raise ChromascapeError(f"{shown}: no model of Chromascape")
        return download(model, shown)

    def settle(self, version: Any, before: Any, promoted: bool, reason: str) -> bool:
        """Give a version its alias and say why, on it and on its run.

        Args:
            before: the champion that it was compared with; None where there was none.
            promoted: whether it becomes champion; else it is the challenger.
        Returns:
            False, with nothing done, where there is another champion by now: then it is to be compared with that one.
        """
        now = self.champion()
        if _number(now) != _number(before):
            return False
        if promoted and _number(now) != _number(version):
            self.client.set_registered_model_alias(self.name, CHAMPION, version.version)
            if now:
                when = datetime.now(UTC).isoformat(timespec="seconds")
                self._tag(now, "chromascape.replaced", f"{when} by version {version.version}")
        if not promoted:
            self.client.set_registered_model_alias(self.name, CHALLENGER, version.version)
        elif _number(self._at(CHALLENGER)) == _number(version):
            self.client.delete_registered_model_alias(self.name, CHALLENGER)
        self._explain(version, CHAMPION if promoted else CHALLENGER, reason)
        return True

    def _explain(self, version: Any, verdict: str, reason: str) -> None:
        for name, value in {"verdict": verdict, "reason": reason}.items():
            self._tag(version, f"chromascape.{name}", value)
            if version.run_id:
                self.client.set_tag(version.run_id, f"chromascape.{name}", value)
        if version.run_id:
            self.client.set_tag(version.run_id, "chromascape.registered", f"{self.name} version {version.version}")

    def _tag(self, version: Any, name: str, value: str) -> None:
        self.client.set_model_version_tag(self.name, version.version, name, value)

    def _at(self, alias: str) -> Any:
        from mlflow import MlflowException

        try:
            return self.client.get_model_version_by_alias(self.name, alias)
        except MlflowException as error:
            # An alias that is missing is called an invalid value.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def _run_of(self, digest: str) -> Any:
        """The evaluated run of these weights: that of this working copy, else the last; None where there is none."""
        found = self.client.search_runs(
            [self.experiment],
            f"tags.`{DIGEST}` = '{digest}' and tags.`chromascape.state` = '{EVALUATED}'",
            order_by=["attributes.start_time DESC"],
        )
        own = read_run_file().get("run_id")
        return next((run for run in found if run.info.run_id == own), found[0] if found else None)


@contextmanager
def open_registry(name: str, experiment: str) -> Iterator[Registry]:
    """The registry of a store, for one registration at a time.

    In a store in a file others wait, so that of two models only one is compared with a champion and then takes its
    place. A server has no lock to offer: there `Registry.settle` looks again right before it changes the alias.

    Args:
        name: of the registered model.
        experiment: whose runs have logged the models.
    Raises:
        ChromascapeError: MLflow fails.
    """
    identifier = connect(experiment)
    from mlflow import MlflowClient, MlflowException

    uri = tracking_uri()
    file = uri.removeprefix("sqlite:///").split("?")[0]
    try:
        # Not the lock of `connect`: who only starts a run need not wait for a comparison.
        with FileLock(f"{file}.register.lock") if uri.startswith("sqlite:///") else nullcontext():
            yield Registry(MlflowClient(), name, identifier)
    except MlflowException as error:
        store = without_credentials(uri)
        raise ChromascapeError(
            f"MLflow can't register the model in {store} ({explain(error)}): put that right, then `dvc repro` again"
        ) from None


def _number(version: Any) -> int:
    """Of a version; 0 for none."""
    return int(version.version) if version else 0
