"""The `chromascape` command. Heavy modules are imported where they are used, so that --help is quick."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chromascape import __version__
from chromascape.errors import ChromascapeError, explain_os_error

TRAINED = Path("models/colorizer")
SAMPLE = Path("data/sample")
WRITABLE = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 where something failed, 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ChromascapeError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        if error.errno is None:
            raise
        print(f"error: {explain_os_error(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chromascape", description="Learn to colorize photos, and colorize them.")
    parser.add_argument("--version", action="version", version=f"chromascape {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    colorize = commands.add_parser("colorize", help="colorize photos", description="Colorize photos of any size.")
    colorize.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="photos, or folders of photos")
    colorize.add_argument(
        "-o", "--output", default=Path("colorized"), type=Path, metavar="OUT",
        help="a file for one photo, else a folder; made where it is missing (%(default)s)",
    )  # fmt: skip
    colorize.add_argument(
        "--model", type=Path, metavar="DIR",
        help="trained model (models/colorizer where you have trained one, else the one that comes with Chromascape)",
    )  # fmt: skip
    colorize.add_argument(
        "--vivid", action="store_true", help="as colorful as photos are, not as close to the truth as can be"
    )
    colorize.add_argument("--device", default="auto", metavar="D", help="auto, cuda, mps or cpu (%(default)s)")
    colorize.add_argument("--recursive", action="store_true", help="take folders inside folders too, keeping the tree")
    colorize.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    colorize.set_defaults(run=_colorize)
    check = commands.add_parser(
        "check", help="name what would stop `dvc repro` or have it wait for ever, before it starts",
        description="Check params.yaml, every file of data.dir, and that the MLflow server answers where "
        "MLFLOW_TRACKING_URI names one. Reads no photo, so it takes about a second.",
    )  # fmt: skip
    check.set_defaults(run=_check)
    summary = commands.add_parser("summary", help="figures of the last `dvc repro`, beside gray's")
    summary.set_defaults(run=_summary)
    _add_serving(commands)
    return parser


def _add_serving(commands: Any) -> None:
    """The commands that bring a model elsewhere."""
    serve = commands.add_parser("serve", help="a page in the browser that colorizes photos")
    serve.add_argument("--model", type=Path, metavar="DIR", help="trained model, as for colorize")
    serve.add_argument("--device", default="auto", metavar="D", help="auto, cuda, mps or cpu (%(default)s)")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (%(default)s: this machine alone gets in)"
    )
    serve.add_argument("--port", default=8000, type=int, help="%(default)s; 0 takes one that is free")
    serve.add_argument("--no-browser", action="store_true", help="print the address alone")
    serve.set_defaults(run=_serve)
    export = commands.add_parser("export", help="the model as an ONNX file, or as a page that needs no server")
    export.add_argument("output", type=Path, metavar="OUT", help="file to write, such as model.onnx; --web: a folder")
    export.add_argument(
        "--web", action="store_true", help="a folder for any web host: a page that colorizes in the visitor's browser"
    )
    export.add_argument(
        "--runtime", type=Path, metavar="TGZ", help="ONNX Runtime Web as `npm pack` gave it (--web fetches it by npm)"
    )
    export.add_argument("--model", type=Path, metavar="DIR", help="trained model, as for colorize")
    export.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    export.set_defaults(run=_export)


def _colorize(options: argparse.Namespace) -> int:
    """Colorize every input; a bad one is reported and the rest go on. Returns 1 where any failed."""
    from tqdm import tqdm

    jobs = _plan(options.inputs, options.output, options.recursive)
    from chromascape.colorizing.colorizer import SHIPPED, Colorizer
    from chromascape.files import clean_leftovers
    from chromascape.photos.source import PhotoError

    clean_leftovers(TRAINED.parent)  # a training that was killed while it replaced the model left it aside
    model = options.model or (TRAINED if TRAINED.exists() else SHIPPED)
    colorizer = Colorizer.load(model, options.device)
    rendering = "vivid" if options.vivid else "faithful"
    done = skipped = failed = 0
    for source, target in tqdm(jobs, desc="colorize", unit="photo", disable=None if len(jobs) > 1 else True):
        if target.exists() and not options.overwrite:
            skipped += 1
            continue
        try:
            _colorize_one(colorizer, source, target, rendering)
            done += 1
        except (PhotoError, OSError, ValueError) as error:  # ValueError: a picture that the format can't hold
            reason = explain_os_error(error) if isinstance(error, OSError) else str(error)
            tqdm.write(f"error: {source}: {reason}", file=sys.stderr)
            failed += 1
    by = " by the model that comes with Chromascape" if model == SHIPPED else ""
    parts = [f"{done} colorized into {options.output}{by}"]
    parts += [f"{skipped} skipped because the output exists (--overwrite replaces it)"] * bool(skipped)
    parts += [f"{failed} failed"] * bool(failed)
    print(", ".join(parts))
    return 1 if failed else 0


def _colorize_one(colorizer, source: Path, target: Path, rendering: str) -> None:  # type: ignore[no-untyped-def]
    from chromascape.files import atomic_write
    from chromascape.photos import reading
    from chromascape.photos.source import read_bytes

    picture = colorizer.colorize(reading.open_photo(read_bytes(source)), rendering)
    formats = {".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
    with atomic_write(target) as temporary:
        picture.save(temporary, formats.get(target.suffix.lower(), "JPEG"), quality=95)


def _plan(inputs: list[Path], output: Path, recursive: bool) -> list[tuple[Path, Path]]:
    """Which file becomes which: inside folders every image by its extension keeps its relative path and stem."""
    from chromascape.photos.reading import EXTENSIONS
    from chromascape.photos.source import list_files

    known = set().union(*EXTENSIONS.values())
    one_file = output.suffix.lower() in WRITABLE and not output.is_dir()
    if one_file and (len(inputs) > 1 or inputs[0].is_dir()):
        raise ChromascapeError(f"{output}: name a folder for more than one photo")
    plan: list[tuple[Path, Path]] = []
    outputs = output.resolve()
    for source in inputs:
        if source.is_dir():
            names = [name for name in list_files(source) if recursive or "/" not in name]
            names = [name for name in names if Path(name).suffix.lower() in known]
            # Where the outputs lie inside the inputs, they are not colorized again.
            if not source.resolve().is_relative_to(outputs):
                names = [name for name in names if not (source / name).resolve().is_relative_to(outputs)]
            if not names:
                more = "" if recursive else "; --recursive looks into its folders"
                raise ChromascapeError(f"{source}: no photos in this folder{more}")
            plan += [(source / name, _target(output / name)) for name in names]
        elif source.exists():
            plan.append((source, output if one_file else _target(output / source.name)))
        else:
            raise ChromascapeError(f"{source}: no such file")
    return _check_plan(plan)


def _check_plan(plan: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """No photo may be written over another one or over itself."""
    taken: dict[Path, Path] = {}
    inputs = {source.resolve(): source for source, _ in plan}
    for source, target in plan:
        replaced = inputs.get(target.resolve())
        if replaced is not None:
            whose = "its own colors" if replaced == source else f"those of {source}"
            raise ChromascapeError(f"{replaced}: would be replaced by {whose}: choose another output folder")
        if target in taken:
            raise ChromascapeError(
                f"{source} and {taken[target]} would both become {target}: colorize them into different folders"
            )
        taken[target] = source
    return plan


def _target(path: Path) -> Path:
    """The same name, with an extension that can be written: PNG for those that can't."""
    return path if path.suffix.lower() in WRITABLE else path.with_suffix(".png")


def _serve(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ChromascapeError(f"the package {error.name} is missing: pip install 'chromascape[serve]'") from None
    import webbrowser

    from chromascape.colorizing.colorizer import Colorizer
    from chromascape.serving.web import serve

    def ready(address: str) -> None:
        print(f"{address} (by {model}; Ctrl-C ends it)", flush=True)
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
        raise ChromascapeError(f"{output}: exists: --overwrite replaces it")
    if options.web:
        web_export.export_page(Colorizer.load(model, "cpu"), output, options.runtime)
        print(f"{output}: from {model}; try it by `python -m http.server --directory {output} --bind 127.0.0.1`")
    else:
        onnx_export.export(Colorizer.load(model, "cpu"), output)
        print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, from {model}")
    return 0


def _model(named: Path | None) -> Path:
    """The folder of the model to use: the one that was named, else the trained one, else the one that is shipped."""
    from chromascape.colorizing.colorizer import SHIPPED

    return named or (TRAINED if TRAINED.exists() else SHIPPED)


def _check(options: argparse.Namespace) -> int:
    """What DVC would meet, looked at before DVC does: it hashes data.dir before the first stage runs."""
    from chromascape.params import load_params
    from chromascape.photos.rules import check_policy
    from chromascape.photos.source import check_folder, check_trackable
    from chromascape.tracking.server import check_server

    params = load_params()
    check_policy(params.validate_.policy)
    folder = Path(params.data.dir)
    if folder == SAMPLE and not folder.exists():
        line = f"data.dir: {folder}, which the first stage lays"
    else:
        count = check_trackable(check_folder(folder))
        line = f"data.dir: {count:,} files in {folder}, nothing that DVC can't track"
    check_server()
    print(line)
    return 0


def _summary(options: argparse.Namespace) -> int:
    file = Path("metrics/evaluate.json")
    try:
        lines = _summary_lines(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: run `dvc repro` first") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ChromascapeError(f"{file}: damaged: run `dvc repro -f evaluate`") from None
    from chromascape.tracking.page import links

    lines += [f"report   {Path('reports/index.html').resolve()}", "MLflow   make ui, then:"]
    print("\n".join([*lines, *(f"{name:<8} {address}" for name, address in links().items())]))
    return 0


def _summary_lines(figures: dict[str, Any]) -> list[str]:
    """A table of the model beside gray, and the gain in a sentence; `figures` as in metrics/evaluate.json."""
    from chromascape.color.metrics import METRICS
    from chromascape.judging.predictions import caveats, labels

    names = labels(figures)
    columns = {
        key: [metric.label, *(format(figures[name][key], metric.format) for name in names)]
        for key, metric in METRICS.items()
    }
    table = [["", *names.values()], *columns.values()]
    widths = [max(map(len, column)) for column in table]
    lines = [
        "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in zip(*table, strict=True))
    ]
    interval = figures["gain_over_gray_ci95_db"]
    between = f" (95 % interval {interval[0]:+.2f} to {interval[1]:+.2f})" if interval else ""
    lines.append(
        f"gain over gray {figures['gain_over_gray_db']:+.2f} dB{between} on {figures['n_photos']} test photos, "
        f"better than gray on {100 * figures['win_rate_over_gray']:.0f} %"
    )
    return lines + caveats(figures)


if __name__ == "__main__":
    sys.exit(main())
