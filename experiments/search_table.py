"""The trials of a search as a table and as a picture."""

import io
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from optuna.trial import FrozenTrial, TrialState

BLUE, GRAY = "#3b6ea8", "#999999"
COLUMNS = 3  # panels in a line of the picture


def table(plan: dict[str, Any], trials: list[FrozenTrial], image: str) -> str:
    """Markdown: gray, then the trials with a model by their gain, then those that were stopped."""
    names = list(plan["params"])
    done = sorted((trial for trial in trials if trial.state is TrialState.COMPLETE), key=lambda trial: -trial.values[0])
    pruned = [trial for trial in trials if trial.state is TrialState.PRUNED]
    failed = sum(trial.state is TrialState.FAIL for trial in trials)
    lines = [
        f"# {plan['title']}",
        "",
        "Gain over gray on the validation photos (val), dB PSNR, with its 95 % interval.",
    ]
    if done:
        photos = done[0].user_attrs["figures"]["n_photos"]
        lines[-1] += f" {photos} photos, on which gray has {done[0].user_attrs['gray_db']:.2f} dB."
    if failed:
        lines[-1] += f" {failed} trials failed or were begun again."
    lines += ["", f"![Gain by trial and by param]({image})", ""]
    lines += [_line(["trial", "gain over gray, dB", *names, "experiment"]), "|---" * (len(names) + 3) + "|"]
    lines.append(_line(["gray", "0", *[""] * (len(names) + 1)]))
    for trial in [*done, *pruned]:
        values = [_value(trial.params.get(name, "")) for name in names]
        lines.append(_line([trial.number, _gain(trial), *values, trial.user_attrs.get("experiment", "")]))
    return "\n".join([*lines, "", "`dvc exp apply EXPERIMENT` takes one.", ""])


def picture(trials: list[FrozenTrial], names: list[str]) -> str:
    """SVG: gains in the order of the trials, then by each param."""
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    lines = -(-(len(names) + 1) // COLUMNS)
    figure, panels = plt.subplots(lines, COLUMNS, figsize=(10, 2.7 * lines), squeeze=False, sharey=True)
    flat = [axes for line in panels for axes in line]
    gains = [trial.values[0] for trial in done]
    order = [trial.number for trial in done]
    flat[0].plot(order, [max(gains[: place + 1]) for place in range(len(gains))], color=GRAY, linewidth=1)
    flat[0].plot(order, gains, "o", color=BLUE, markersize=4)
    flat[0].set(xlabel="trial", ylabel="gain over gray, dB")
    for axes, name in zip(flat[1:], names, strict=False):
        values = [trial.params[name] for trial in done]
        numbers = all(type(value) in (int, float) for value in values)
        axes.plot(values if numbers else [str(value) for value in values], gains, "o", color=BLUE, markersize=4)
        if done and "log=True" in str(done[0].distributions[name]):
            axes.set_xscale("log")
        axes.set_xlabel(name)
    for axes in flat[len(names) + 1 :]:
        axes.remove()
    for axes in flat:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "chromascape", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    plt.close(figure)
    return stream.getvalue()


def _gain(trial: FrozenTrial) -> str:
    if trial.state is TrialState.PRUNED:
        return f"stopped after epoch {trial.last_step}"
    low, high = trial.user_attrs["figures"]["gain_over_gray_ci95_db"]
    return f"{trial.values[0]:+.2f} ({low:+.2f} to {high:+.2f})"


def _value(value: object) -> str:
    return f"{value:.3g}" if type(value) is float else str(value)


def _line(cells: list[Any]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
