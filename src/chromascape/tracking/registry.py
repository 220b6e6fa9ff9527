"""MLflow's model registry: a version for each model, and the aliases champion and challenger.

`judging` decides which of them a version gets; here it is recorded.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.tracking.address import registry_uri
from chromascape.tracking.artifacts import DIGEST
from chromascape.tracking.locks import has_lock, locked
from chromascape.tracking.resolve import download, explain, model_of_run, model_of_version
from chromascape.tracking.run import TRAINING
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect

CHAMPION, CHALLENGER = "champion", "challenger"
ALIAS, REASON, REPLACED = (f"chromascape.{name}" for name in ("alias", "reason", "replaced"))  # tags
ANNOUNCED = "chromascape.announced"  # tag of the registered model: who is about to become champion
SETTLED = 1.0  # seconds, by far longer than a request takes
BY_HAND = "made champion by hand"
DESCRIPTION = (
    "Colorizes gray photos. `champion` is the version that beat gray by the required margin, and the previous champion "
    "on the same photos; `challenger` is the latest one that did not. The tags of each version say why."
)


@dataclass(frozen=True)
class Decision:
    """Whether a version becomes champion.

    Attributes:
        promoted: champion, else challenger.
        reason: in a line.
        against: figures of the comparison with the champion, where there was one.
    """

    promoted: bool
    reason: str
    against: dict[str, Any] | None = None

    @property
    def alias(self) -> str:
        """The alias that the version gets."""
        return CHAMPION if self.promoted else CHALLENGER


class Registry:
    """The versions of one registered model.

    Attributes:
        client: MLflow's.
        name: of the registered model.
        experiment: id of the experiment whose runs are looked through.
        alone: nobody else registers meanwhile.
    """

    def __init__(self, client: Any, name: str, experiment: str, alone: bool = True):
        self.client, self.name, self.experiment, self.alone = client, name, experiment, alone

    def version_of(self, digest: str, run: Any) -> Any:
        """The version of a model, made from its run where there is none yet.

        Args:
            digest: see `artifacts.model_digest`: the same weights and configuration are one version, however often
                they are measured.
            run: a whole run that has logged this model.
        """
        known = self.client.search_model_versions(f"name = '{self.name}' and tags.`{DIGEST}` = '{digest}'")
        if known:
            return max(known, key=lambda version: int(version.version))
        model = model_of_run(self.client, run)
        if model is None:
            raise ChromascapeError(f"run {run.info.run_id} has no model: `dvc repro --force --single-item evaluate`")
        self._create()
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
            ChromascapeError: they can't be read.
        """
        shown = f"models:/{self.name}/{version.version}"
        model = model_of_version(self.client, version)
        if model is None:
            raise ChromascapeError(f"{shown}: no model of Chromascape")
        return download(model, shown)

    def assign(self, version: Any, decide: Callable[[Any], Decision]) -> Decision:
        """Make a version champion or challenger, and say why, on it and on its run.

        Args:
            decide: the decision against a champion, None where there is none. It is asked again where another
                process has made another version champion meanwhile.
        """
        while True:
            champion = self._at(CHAMPION)
            decision = decide(champion)
            rises = decision.promoted and _number(champion) != _number(version)
            if (not rises or self._is_first()) and _number(self._at(CHAMPION)) == _number(champion):
                break
        if rises:
            self.client.set_registered_model_alias(self.name, CHAMPION, version.version)
        if not decision.promoted:
            self.client.set_registered_model_alias(self.name, CHALLENGER, version.version)
            if champion and not is_explained(champion):
                self._explain(champion, Decision(True, BY_HAND))
        self._explain(version, decision)
        self._tidy(self._at(CHAMPION))  # another version, where another process was quicker
        return decision

    def _create(self) -> None:
        """Make the registered model, unless there is one."""
        from mlflow import MlflowException

        if self.client.search_registered_models(f"name = '{self.name}'"):
            return
        try:
            self.client.create_registered_model(self.name, description=DESCRIPTION)
        except MlflowException as error:  # another process was quicker
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _is_first(self) -> bool:
        """Whether nobody else is about to become champion. Of several who ask within a second it is the last one.

        Where a store has no lock, two might both find the same champion, and both take its place: whoever means to
        announces it, and looks a second later whether another one has done so. If so, that one needs another second.
        """
        if self.alone:
            return True
        own = uuid.uuid4().hex
        self.client.set_registered_model_tag(self.name, ANNOUNCED, own)
        time.sleep(SETTLED)
        if self.client.get_registered_model(self.name).tags.get(ANNOUNCED) == own:
            return True
        time.sleep(2 * SETTLED)
        return False

    def looks(self, photos: str) -> int:
        """How many trainings were measured on a set of test photos, by the runs of the experiment.

        Args:
            photos: the set, as `photos` of metrics/evaluate.json names it.
        """
        found: set[str] = set()
        token = None
        while True:
            page = self.client.search_runs([self.experiment], f"tags.`test.photos` = '{photos}'", page_token=token)
            found |= {run.data.tags.get(TRAINING, run.info.run_id) for run in page}
            if not (token := page.token):
                return len(found)

    def _tidy(self, champion: Any) -> None:
        """Let tags and aliases of all versions say the same, also where somebody has moved an alias."""
        if champion is None:
            return
        if _number(self._at(CHALLENGER)) == _number(champion):
            self.client.delete_registered_model_alias(self.name, CHALLENGER)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        for version in self.client.search_model_versions(f"name = '{self.name}' and tags.`{ALIAS}` = '{CHAMPION}'"):
            if _number(version) == _number(champion):
                if REPLACED in version.tags:
                    self.client.delete_model_version_tag(self.name, version.version, REPLACED)
            elif REPLACED not in version.tags:
                self._tag(version, REPLACED, f"{when} by version {champion.version}")

    def _explain(self, version: Any, decision: Decision) -> None:
        for name, value in {ALIAS: decision.alias, REASON: decision.reason}.items():
            self._tag(version, name, value)
            if version.run_id:
                self.client.set_tag(version.run_id, name, value)
        if version.run_id:
            self.client.set_tag(version.run_id, "chromascape.registered", f"{self.name} version {version.version}")

    def _tag(self, version: Any, name: str, value: str) -> None:
        self.client.set_model_version_tag(self.name, version.version, name, value)

    def _at(self, alias: str) -> Any:
        from mlflow import MlflowException

        try:
            return self.client.get_model_version_by_alias(self.name, alias)
        except MlflowException as error:
            # MLflow calls a missing alias an invalid value.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


@contextmanager
def open_registry(name: str, experiment: str) -> Iterator[Registry]:
    """The registry of a store, for one registration at a time.

    A lock guards one in a file or in PostgreSQL, so that two models are not both compared with the same champion.
    A server offers no lock: there, `Registry.assign` announces itself before it changes the alias.

    Args:
        name: of the registered model.
        experiment: whose runs have logged the models.
    Raises:
        ChromascapeError: MLflow fails.
    """
    identifier = connect(experiment)
    from mlflow import MlflowClient, MlflowException

    uri = registry_uri()
    try:
        # Not the lock of `connect`: starting a run need not wait for a comparison.
        with locked(uri, "register"):
            yield Registry(MlflowClient(), name, identifier, alone=has_lock(uri))
    except MlflowException as error:
        store = without_credentials(uri)
        raise ChromascapeError(
            f"MLflow can't register the model in {store} ({explain(error)}): fix that, then run `dvc repro` again"
        ) from None


def is_explained(champion: Any) -> bool:
    """Whether the tags of the champion say why it is one; where somebody has moved the alias, they do not."""
    tags = champion.tags
    return tags.get(ALIAS) == CHAMPION and REASON in tags and REPLACED not in tags


def _number(version: Any) -> int:
    """The number of a version; 0 for none."""
    return int(version.version) if version else 0
