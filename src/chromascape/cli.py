"""The `chromascape` command. Heavy modules are imported where they are used, which keeps --help quick."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chromascape import __version__
from chromascape.errors import NO_MEMORY, ChromascapeError, explain_os_error, how_to_install, say_any_name

if TYPE_CHECKING:
    from chromascape.colorizing.colorizer import Rendering

TRAINED = Path("models/colorizer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 after a failure, 2 for a wrong command line."""
    say_any_name()
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "chromascape"):
            raise
        print(f"error: the package {package} is missing: {how_to_install(options.extra)}", file=sys.stderr)
    except ChromascapeError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        if error.errno is None:
            raise
        print(f"error: {explain_os_error(error)}", file=sys.stderr)
    except MemoryError:
        print(f"error: {NO_MEMORY}: close other programs", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chromascape", description="Learn to colorize photos, and colorize them.")
    parser.add_argument("--version", action="version", version=f"chromascape {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_colorize(commands)
    check = commands.add_parser(
        "check", help="find what would stop or hang `dvc repro`, before it starts",
        description="Check params.yaml, every file of data.dir, the free disk, and that MLflow can keep a run. "
        "Reads no photo, so it takes a few seconds.",
    )  # fmt: skip
    check.set_defaults(run=_check, extra="pipeline")
    doctor = commands.add_parser(
        "doctor", help="check versions, device, disk, MLflow, and what killed processes left behind",
        description="Print a line for each check: ok, note, or problem with its remedy. Changes nothing. "
        "Exit code 1 if there is a problem.",
    )  # fmt: skip
    doctor.add_argument("--json", action="store_true", help="print a list of objects with level, subject and text")
    doctor.set_defaults(run=_doctor, extra="pipeline")
    summary = commands.add_parser(
        "summary", help="figures of the last `dvc repro`, beside gray's",
        description="Print the figures in metrics/evaluate.json, and where the report and MLflow's page are.",
    )  # fmt: skip
    summary.set_defaults(run=_summary, extra="pipeline")
    _add_serving(commands)
    return parser


def _add_colorize(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    colorize = commands.add_parser("colorize", help="colorize photos", description="Colorize photos of any size.")
    add = colorize.add_argument
    add("inputs", nargs="+", metavar="IN", help="photos, folders of photos, and patterns such as 'scans/*.tif'")
    place = "a file for one photo (its suffix sets the format), else a folder; created if missing (colorized; with "
    place += "--vivid colorized-vivid, and so on)"
    add("-o", "--output", metavar="OUT", help=place)
    which = "folder of a trained model, an exported .onnx file, or a model in MLflow: "
    which += "models:/chromascape@champion, models:/chromascape/3, runs:/RUN_ID, or `shipped`, which comes with "
    which += "Chromascape (models/colorizer if you have trained a model, else the shipped one)"
    add("--model", metavar="MODEL", help=which)
    style = "close to the truth, or as colorful as photos are (%(default)s)"
    add("--style", choices=("faithful", "vivid"), default="faithful", help=style)
    add("--vivid", action="store_true", help="the same as --style vivid")
    factor = "factor on the colors, 0 to 10 (%(default)s)"
    add("--saturation", type=_number(float, 0, 10), default=1.0, metavar="S", help=factor)
    named = "colors you name: a JSON file, a PNG with paint on a transparent layer, or a folder of them: docs/using.md"
    add("--hints", type=Path, metavar="FILE", help=named)
    add("--like", type=Path, metavar="PHOTO", help="a color photo of the same place or season: take its colors")
    add("--negative", action="store_true", help="the photos are negatives: invert them")
    add("--whole", action="store_true", help="colorize borders of paper too, which otherwise stay gray")
    add("--compare", action="store_true", help="write gray and color side by side")
    add("--recursive", action="store_true", help="include subfolders, keeping their structure")
    add("--overwrite", action="store_true", help="replace existing outputs instead of skipping them")
    at_a_time = "photos at a time; each takes its own memory (%(default)s)"
    add("--jobs", type=_number(int, 1, 256), default=1, metavar="N", help=at_a_time)
    add("--device", default="auto", metavar="D", help="auto, cuda, mps or cpu (%(default)s)")
    colorize.set_defaults(run=_colorize, extra="torch")


def _number(kind: type[float], least: int, most: int) -> Callable[[str], float]:
    """The type of an option that is a number in a range."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number (it is {text})") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most} (it is {text})")
        return value

    return parse


def _add_serving(commands: Any) -> None:
    """The commands that use a model outside of the command line."""
    serve = commands.add_parser(
        "serve", help="open a page in the browser that colorizes photos",
        description="Open a page in the browser that colorizes photos on this machine, and serve it until Ctrl-C.",
    )  # fmt: skip
    add = serve.add_argument
    add("--model", metavar="MODEL", help="as for colorize")
    add("--device", default="auto", metavar="D", help="auto, cuda, mps or cpu (%(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s: only this machine can connect)")
    add("--port", default=8000, type=_number(int, 0, 65535), help="%(default)s; 0 chooses a free one")
    add("--no-browser", action="store_true", help="only print the address")
    serve.set_defaults(run=_serve, extra="serve")
    export = commands.add_parser(
        "export", help="write the model as an ONNX file, or as a page that needs no server",
        description="Write the model as an ONNX file, which ONNX Runtime computes anywhere; or with --web as a folder "
        "for any web host: a page that colorizes in the visitor's browser.",
    )  # fmt: skip
    add = export.add_argument
    add("output", type=Path, metavar="OUT", help="file to write, such as model.onnx; a folder with --web")
    add("--web", action="store_true", help="write a folder for any web host: a page that colorizes in the browser")
    packed = "ONNX Runtime Web and GeoTIFF from `npm pack` (by default --web fetches them)"
    add("--runtime", type=Path, nargs="+", default=(), metavar="TGZ", help=packed)
    add("--model", metavar="MODEL", help="as for colorize")
    add("--overwrite", action="store_true", help="replace an existing output")
    export.set_defaults(run=_export, extra="export")


def _colorize(options: argparse.Namespace) -> int:
    """Colorize every input; bad ones are reported, and the rest continue. Returns 1 if any failed."""
    from chromascape.colorizing.plan import default_folder, make_plan

    style: Rendering = "vivid" if options.vivid else options.style
    output = default_folder(style, vars(options)) if options.output is None else options.output
    plan = make_plan(options.inputs, output, options.recursive)
    if options.hints and not options.hints.exists():
        raise ChromascapeError(f"{options.hints}: no such file")
    if options.hints and not options.hints.is_dir() and len(plan.pairs) > 1:
        raise ChromascapeError(f"{options.hints}: hints of one photo: for several name a folder of such files")
    from chromascape.colorizing.batch import Options, colorize_files, is_done, read_reference
    from chromascape.colorizing.colorizer import SHIPPED, Colorizer
    from chromascape.parallel import with_progress

    like = read_reference(options.like) if options.like else None
    how = Options(style, options.saturation, options.compare, options.hints, like, options.negative, options.whole)
    model = _model(options.model)
    colorizer = Colorizer.load(model, options.device)
    _say([f"error: {line}" for line in plan.errors] + [f"note: {line}" for line in plan.notes])
    if model != SHIPPED:
        from chromascape.judging.summary import note_on_model

        worse = note_on_model(model)
        _say([f"note: {model}: {worse}"] * bool(worse))
    todo = [pair for pair in plan.pairs if options.overwrite or not is_done(*pair, how)]
    skipped = len(plan.pairs) - len(todo)
    done, failed = 0, len(plan.errors)
    outcomes = colorize_files(colorizer, todo, how, options.jobs)
    for outcome in with_progress(outcomes, len(todo), "colorize"):
        _say([f"error: {outcome.source}: {outcome.error}"] * bool(outcome.error))
        _say([f"note: {outcome.source}: {note}" for note in outcome.notes])
        failed += bool(outcome.error)
        done += not outcome.error
    used = "the model that comes with Chromascape" if model == SHIPPED else f"the model in {model}"
    parts = [f"{done} colorized into {output} with {used}"]
    parts += [f"{skipped} skipped because the output exists (--overwrite replaces it)"] * bool(skipped)
    parts += [f"{failed} failed"] * bool(failed)
    print(", ".join(parts))
    return 1 if failed else 0


def _say(lines: list[str]) -> None:
    """Print lines on stderr, above the bar of progress."""
    bar: Any = sys.modules.get("tqdm")
    for line in lines:
        (bar.tqdm.write if bar else print)(line, file=sys.stderr)


def _serve(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    import webbrowser

    import uvicorn  # noqa: F401, here, so that its absence is reported before the address

    from chromascape.colorizing.colorizer import Colorizer
    from chromascape.serving.web import serve

    def ready(address: str) -> None:
        print(f"{address} (model: {model}; Ctrl-C stops it)", flush=True)
        if not options.no_browser:
            webbrowser.open(address)

    model = _model(options.model)
    serve(Colorizer.load(model, options.device), options.host, options.port, ready)
    return 0


def _export(options: argparse.Namespace) -> int:
    """Write the model as an ONNX file, or as a page."""
    from chromascape.colorizing.colorizer import Colorizer
    from chromascape.serving import onnx_export, web_export

    output, model = options.output, _model(options.model)
    if output.exists() and not options.overwrite:
        raise ChromascapeError(f"{output} exists: --overwrite replaces it")
    colorizer = Colorizer.load(model, "cpu")
    if options.web:
        web_export.export_page(colorizer, output, options.runtime)
        print(f"{output}: from {model}; try it with `python -m http.server --directory {output} --bind 127.0.0.1 8001`")
    else:
        onnx_export.export(colorizer, output)
        print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, from {model}")
    return 0


def _model(named: str | None) -> Path:
    """The folder of the model to use: the named one, else the trained one, else the shipped one."""
    from chromascape.colorizing.colorizer import IN_MLFLOW, SHIPPED
    from chromascape.files import clean_leftovers

    clean_leftovers(TRAINED.parent)  # a training that was killed while it replaced the model had moved it aside
    if named == "shipped":
        return SHIPPED
    if named and named.startswith(IN_MLFLOW):
        from chromascape.tracking.resolve import resolve_model

        return resolve_model(named)
    return Path(named) if named else TRAINED if TRAINED.exists() else SHIPPED


def _check(options: argparse.Namespace) -> int:
    """Find what would stop the pipeline before DVC starts, which hashes data.dir before the first stage runs."""
    from chromascape.health.machine import data, disk, experiments
    from chromascape.params import load_params
    from chromascape.photos.rules import check_policy
    from chromascape.tracking.store_checks import check_store

    params = load_params()
    check_policy(params.validate_.policy)
    (photos,) = data(params)
    check_store(params.track.experiment)
    disk(params)
    print(f"{photos.subject}: {photos.text}")
    for finding in experiments(params):
        if finding.level == "note":
            print(f"note: {finding.text}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from chromascape.health.doctor import examine, table

    found = examine()
    print(json.dumps([asdict(finding) for finding in found], indent=2) if options.json else table(found))
    return 1 if any(finding.level == "problem" for finding in found) else 0


def _summary(options: argparse.Namespace) -> int:
    from chromascape.judging.summary import of_another_model, summary_lines

    file = Path("metrics/evaluate.json")
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
        lines = summary_lines(figures) + of_another_model(figures, TRAINED)
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: run `dvc repro` first") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ChromascapeError(f"{file}: damaged: run `dvc repro -f evaluate`") from None
    from chromascape.tracking.page import PORT, links, named_server

    port = os.environ.get("PORT", PORT)
    page = "make ui, then:" if port == PORT else f"make ui PORT={port}, then:"
    lines += [f"report   {Path('reports/index.html').resolve()}", f"MLflow   {named_server() or page}"]
    print("\n".join([*lines, *(f"{name:<8} {address}" for name, address in links().items())]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
