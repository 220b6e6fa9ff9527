"""What is measured: the predictions, their labels in tables, and what is to be said of photos that a model has seen."""

from typing import Any

# The trained model in both renderings, the model that comes with Chromascape, and two baselines.
PREDICTIONS = {
    "model": "model",
    "vivid": "model, vivid",
    "shipped": "shipped model",
    "gray": "gray input",
    "mean_ab": "mean training color",
}


def labels(figures: dict[str, Any]) -> dict[str, str]:
    """Labels of the rows of a table of these figures; one of a model that has seen some of the photos says so."""
    seen = figures["n_seen"]
    return {
        name: f"{label} (has seen {seen[name]} of {figures['n_photos']})" if seen.get(name) else label
        for name, label in PREDICTIONS.items()
    }


def caveats(figures: dict[str, Any]) -> list[str]:
    """A sentence for each model that was trained on, or chosen by, some of the photos that it is measured on, and one
    about photos that are left out.
    """
    found = [
        f"The {PREDICTIONS[name]} was trained on or chosen by {figures['n_seen'][name]} of these "
        f"{figures['n_photos']} photos, so its figures are optimistic."
        for name in ("model", "shipped")
        if figures["n_seen"][name]
    ]
    if left_out := figures.get("n_left_out"):
        found.append(
            f"{left_out:,} more {'are' if left_out > 1 else 'is'} left out: the model was trained on {'them' if left_out > 1 else 'it'}."
        )
    return found
