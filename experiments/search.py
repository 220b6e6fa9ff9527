"""Search for good params: Optuna proposes them, and each trial is an experiment of DVC and a run in MLflow.

    python experiments/search.py experiments/search.yaml --data /path/to/photos -o search.md
    python experiments/search.py experiments/search.yaml --data /path/to/photos -o search.md --jobs 2

The list names the params and their ranges (see experiments/search.yaml). Trials are scored by their gain over gray on
the validation photos; the test photos stay unused. A trial whose loss is worse than the median of the others' at the
same epoch is stopped. A search that was stopped or killed goes on when it is started again at the same commit. Several
machines share one with `--storage postgresql+psycopg://user:password@server/optuna`. The table and its picture are
written anew after each trial, also into the MLflow run that is the parent of the trials' runs.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import dvc.api
import mlflow
import optuna
import psutil
from optuna.trial import FrozenTrial, Trial, TrialState
from run import changed, git, settings
from search_list import first_values, read_plan, suggest
from search_table import picture, table
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from chromascape.errors import ChromascapeError
from chromascape.files import atomic_write
from chromascape.parallel import in_threads
from chromascape.params import load_params
from chromascape.photos.source import Source
from chromascape.tracking.locks import locked
from chromascape.tracking.run import reason
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect

EPOCH = re.compile(r"^epoch (\d+)/\d+: train loss \S+, val loss ([\d.]+), gray's ([\d.]+)")
DATABASE = Path(".dvc/tmp/search.db")
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
BEGUN = (*ENDED, TrialState.RUNNING)
FAILURES = 3  # one after another, at which the search gives up
COMPARED_AFTER = 3  # trials that have ended before others are compared with them
TITLE, PARENT = "chromascape.search", "mlflow.parentRunId"

running: set[subprocess.Popen[str]] = set()
stopping = threading.Event()
choosing = threading.Lock()


def main() -> None:
    """Go on with the search until it has all its trials."""
    parser = argparse.ArgumentParser(description="A search by Optuna; its trials are experiments of DVC.")
    parser.add_argument("list", type=Path, help="YAML file with title, trials, common and params")
    parser.add_argument("--data", required=True, help="folder of photos")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time on this machine (%(default)s)")
    parser.add_argument("--storage", default=f"sqlite:///{DATABASE}", help="Optuna's database (%(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="Markdown file to write; beside it a picture")
    options = parser.parse_args()
    try:
        search(read_plan(options.list), options)
    except ChromascapeError as error:
        sys.exit(f"error: {error}")
    except (mlflow.MlflowException, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {reason(error)}: the same command goes on with the search")
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on with the search")


def search(plan: dict[str, Any], options: argparse.Namespace) -> None:
    """Run trials until there are as many as the list says."""
    if files := changed():
        raise ChromascapeError(f"commit your changes first ({', '.join(files[:5])}): each trial is tied to a commit")
    if options.jobs < 1:
        raise ChromascapeError("--jobs must be at least 1")
    common = settings({"data.dir": Source(options.data).absolute().location, "evaluate.split": "val"} | plan["common"])
    study, is_new = open_study(plan, common, options.storage)
    if is_new:
        study.enqueue_trial(first_values(plan))
    begin_again(study)
    with locked(options.storage, "search"):
        parent = parent_run(study.study_name, plan["title"])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    workers = max(2, options.jobs)  # threads, also for one job: signals interrupt the main thread
    for _ in in_threads(lambda _: run_trials(study, plan, common, parent, options), range(options.jobs), workers):
        pass
    write(study, plan, parent, options.output)
    if not study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # on other machines
        mlflow.MlflowClient().set_terminated(parent, "FINISHED")
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise ChromascapeError("no trial has ended with a model: see above")
    name = study.best_trial.user_attrs["experiment"]
    print(f"best: {study.best_value:+.3f} dB on val, {named(study.best_params)}\n`dvc exp apply {name}` takes it")


def run_trials(
    study: optuna.Study, plan: dict[str, Any], common: list[str], parent: str, options: argparse.Namespace
) -> None:
    """Run one trial after another, until there are enough; a thread of its own for each of `--jobs`."""
    failures = 0
    while not stopping.is_set() and failures < FAILURES:
        with choosing, locked(options.storage, "search"):  # of all threads, then of all machines
            if len(study.get_trials(deepcopy=False, states=BEGUN)) >= plan["trials"]:
                return
            trial = study.ask()
            trial.set_user_attr("process", process_id(os.getpid()))
        try:
            study.tell(trial, run_trial(trial, plan["params"], common, study.study_name, parent))
            failures = 0
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except ChromascapeError:
            study.tell(trial, state=TrialState.FAIL)
            failures += 1
        with choosing:
            if not stopping.is_set():
                print(f"trial {trial.number}: {outcome(study.trials[trial.number])}", flush=True)
                write(study, plan, parent, options.output)


def process_id(number: int) -> list[Any]:
    """What tells a process from all others: its machine, its number, and when it started; no time if there is none."""
    try:
        return [platform.node(), number, psutil.Process(number).create_time()]
    except psutil.NoSuchProcess:
        return [platform.node(), number, None]


def begin_again(study: optuna.Study) -> None:
    """Propose the values of trials once more whose process on this machine was killed."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        process = trial.user_attrs.get("process", [None, 0, None])
        if process[0] == platform.node() and process != process_id(process[1]):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)


def open_study(plan: dict[str, Any], common: list[str], storage: str) -> tuple[optuna.Study, bool]:
    """The study of this list at this commit, and whether it is new."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    identity = json.dumps([git("rev-parse", "HEAD"), common, plan["params"]], sort_keys=True)
    name = f"search-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    DATABASE.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(storage, "search"):
            return _open(name, storage)
    except ChromascapeError:
        raise
    except Exception as error:  # a driver that is missing, a server that is down: each database has its own errors
        said = without_credentials(" ".join(str(error).split()))
        raise ChromascapeError(f"--storage: {said[:200]}") from None


def _open(name: str, storage: str) -> tuple[optuna.Study, bool]:
    """A study by its name, and whether it is new."""
    if inspect(create_engine(storage, poolclass=NullPool)).has_table("experiments"):
        raise ChromascapeError("--storage: names MLflow's own database: Optuna needs another one, beside it")
    database = optuna.storages.RDBStorage(storage)
    known = name in optuna.get_all_study_names(database)
    ended = count(optuna.load_study(study_name=name, storage=database)) if known else 0
    # Another seed each time it goes on: the same one would propose the same values again.
    sampler = optuna.samplers.TPESampler(seed=ended, n_startup_trials=5, multivariate=True)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=COMPARED_AFTER, n_warmup_steps=1)
    study = optuna.create_study(
        storage=database, sampler=sampler, pruner=pruner, study_name=name, direction="maximize", load_if_exists=True
    )
    return study, not known


def count(study: optuna.Study) -> int:
    """Trials that have ended, with a model or stopped early."""
    return len(study.get_trials(deepcopy=False, states=ENDED))


def run_trial(trial: Trial, params: dict[str, Any], common: list[str], study_name: str, parent: str) -> float:
    """Train and evaluate with the values that Optuna proposes; returns the gain over gray on val, dB.

    Raises:
        TrialPruned: it was stopped, as it promised less than others.
        ChromascapeError: it failed; the search goes on.
    """
    values = [*common, *settings(suggest(trial, params))]
    name = f"{study_name}-{hashlib.sha256(repr(values).encode()).hexdigest()[:8]}"
    trial.set_user_attr("experiment", name)
    reference = f"refs/exps/{(head := git('rev-parse', 'HEAD'))[:2]}/{head[2:]}/{name}"
    if not git("for-each-ref", reference):  # else it has the values of another one, or has ended without the search
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "exp", "run", "--temp", "-n", name]
        command += [part for value in values for part in ("-S", value)]
        said, pruned = watch([*command, "evaluate"], trial)
        adopt(name, parent)
        if pruned:
            raise optuna.TrialPruned
        if stopping.is_set():
            trial.study.enqueue_trial(trial.params)
            raise ChromascapeError("stopped")
        if not git("for-each-ref", reference):
            print("\n".join(said[-5:]), file=sys.stderr)
            raise ChromascapeError(f"the experiment {name} failed")
    figures = json.loads(dvc.api.read("metrics/evaluate.json", rev=git("rev-parse", reference)))["val"]
    trial.set_user_attr("figures", {key: figures[key] for key in ("n_photos", "gain_over_gray_ci95_db")})
    trial.set_user_attr("gray_db", figures["gray"]["psnr_db"])
    return float(figures["gain_over_gray_db"])


def watch(command: list[str], trial: Trial) -> tuple[list[str], bool]:
    """Run a training, tell Optuna each epoch, and stop it if that says so; returns its lines and whether it did."""
    lines: list[str] = []
    pruned = False
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    running.add(process)
    if stopping.is_set():  # since the trial was chosen
        interrupt(process)
    assert process.stdout
    for line in process.stdout:
        lines.append(line.rstrip())
        if (epoch := EPOCH.match(line)) and not pruned:
            # A share of gray's loss, which trials with other weights of the losses have in common.
            trial.report(1 - float(epoch[2]) / float(epoch[3]), int(epoch[1]))
            pruned = trial.should_prune()
            if pruned:
                interrupt(process)
    process.wait()
    running.discard(process)
    return lines, pruned


def interrupt(process: subprocess.Popen[str]) -> None:
    """What Ctrl-C does: DVC then removes its temporary copy."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)


def stop(number: int, frame: object) -> None:
    """End the trainings, then this process."""
    stopping.set()
    for process in list(running):
        interrupt(process)
    raise KeyboardInterrupt


def outcome(trial: FrozenTrial) -> str:
    """A trial in words."""
    words = {TrialState.PRUNED: f"stopped after epoch {trial.last_step}", TrialState.FAIL: "failed"}
    return f"{words.get(trial.state) or f'{trial.value:+.3f} dB'}, {named(trial.params)}"


def named(values: dict[str, Any]) -> str:
    """Params with their values, in words."""
    shown = {name: f"{value:.3g}" if type(value) is float else value for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def write(study: optuna.Study, plan: dict[str, Any], parent: str, output: Path) -> None:
    """The table and its picture, as files and in the parent run."""
    trials = study.get_trials(deepcopy=False)
    image = output.with_suffix(".svg")
    for file, text in ((image, picture(trials, list(plan["params"]))), (output, table(plan, trials, image.name))):
        with atomic_write(file) as part:
            part.write_text(text, encoding="utf-8")
        mlflow.MlflowClient().log_artifact(parent, str(file))


def parent_run(name: str, title: str) -> str:
    """The MLflow run of the search, under which those of its trials stand."""
    experiment, client = connect(load_params().track.experiment), mlflow.MlflowClient()
    found = client.search_runs([experiment], f"tags.`{TITLE}` = '{name}'")
    run = found[0] if found else client.create_run(experiment, tags={TITLE: name}, run_name=title)
    client.update_run(run.info.run_id, status="RUNNING")
    return str(run.info.run_id)


def adopt(name: str, parent: str) -> None:
    """Put the runs of an experiment under the one of the search."""
    client = mlflow.MlflowClient()
    experiment = client.get_run(parent).info.experiment_id
    for run in client.search_runs([experiment], f"tags.`dvc.experiment` = '{name}'"):
        client.set_tag(run.info.run_id, PARENT, parent)


if __name__ == "__main__":
    main()
