"""The model card that travels with trained weights."""

from typing import TYPE_CHECKING, Any

from chromascape import __version__
from chromascape.colorizing.networks import NETWORKS
from chromascape.judging.damaged import worst_damages
from chromascape.params import Params, Train

if TYPE_CHECKING:
    import pandas as pd

PICTURE = "damage.jpg"  # beside the card
NOTHING_HELD_OUT = " All three splits were trained on, so no figure measured on them is a held-out one."


def model_card(params: Params, summary: dict[str, Any], shipped_saw: int, damage: "pd.DataFrame") -> str:
    """Markdown: on what and how the weights were trained, and how good they are.

    Args:
        summary: as in metrics/train.json.
        shipped_saw: how many of the validation photos the shipped model has seen.
        damage: gains on some of them, as `damaged.gains_of_some`, where PICTURE lies beside the card.
    """
    train, data = params.train, params.data
    rgb = NETWORKS[train.network].predicts == "rgb"
    colors, scaled = ("RGB", "RGB in 0..1") if rgb else ("a* and b* of CIE Lab", "ab scaled to 0..1")
    seen_at = train.working_size or params.preprocess.side
    only = f" (only trained on: {', '.join(f'`{folder}`' for folder in data.train_only)})" * bool(data.train_only)
    loss = " + ".join(f"{weight:g} · `{name}`" for name, weight in train.loss.items())
    whole = NOTHING_HELD_OUT * (train.photos == "all")
    return f"""# Model card: Chromascape colorizer

Predicts the color ({colors}) of a gray photo from its lightness (L*).

| | |
|---|---|
| Network | `{train.network}`, {summary["parameters"]:,} parameters, sees photos at {seen_at} pixels |
| Photos | {summary["n_train"]:,} for training, {summary["n_val"]:,} for choosing the epoch{only} |
| Split | train {data.split.train:g}, val {data.split.val:g}, test {data.split.test:g}, seed {data.split.seed} |
| Loss | {loss}, on {scaled} |
| Started from | `{train.init}` |
| Sees | {_view(params)} |
| Recipe | {_recipe(train)} |
| Seed | {train.seed} |
| Best epoch | {_best_epoch(train, summary)} |
| Factors on ab | {_factors(summary, train.calibrate)} |
| Made with | Chromascape {__version__} |
| Run | in MLflow, the one whose tag `chromascape.training` ends in `{summary["training"]}` |

{_figures(summary, shipped_saw)}
{_damage(damage)}
The run has all figures, also those on the test photos and on photos with the damage of old ones. To find it, search
MLflow's page for ``tags.`chromascape.training` LIKE "%{summary["training"]}"``.{whole}

The colors are plausible guesses, not a record of what was there. The licence of the photos that a model was trained
on may limit its use.
"""


def _view(params: Params) -> str:
    """What a training photo looks like to the network."""
    train = params.train
    view = f"crops of at least {train.crop:g} of the area" if train.crop < 1 else "whole photos"
    return f"{view} at {train.side or params.preprocess.side} pixels" + ", half of them mirrored" * train.flip


def _best_epoch(train: Train, summary: dict[str, Any]) -> str:
    """The epoch that was kept, its loss, and the metric that chose it, if one did."""
    best = f"{summary['best_epoch']}: validation loss {summary['val_loss']:.4f}, gray's {summary['gray_val_loss']:.4f}"
    if train.choose_by == "loss":
        return best
    value, gray = summary["chosen_value"], summary["gray_chosen_value"]
    return f"{best}; chosen by `{train.choose_by}`: {value:.4f}, gray's {gray:.4f}"


def _figures(summary: dict[str, Any], shipped_saw: int) -> str:
    """PSNR on the validation photos, as a table."""
    seen = f", which has seen {shipped_saw:,} of them" * bool(shipped_saw)
    return f"""| on the {summary["n_val"]:,} validation photos, which chose the epoch | PSNR, dB |
|---|---|
| this model | {summary["val_psnr_db"]:.2f} |
| the model that comes with Chromascape{seen} | {summary["shipped_val_psnr_db"]:.2f} |
| gray | {summary["gray_val_psnr_db"]:.2f} |"""


def _damage(gains: "pd.DataFrame") -> str:
    """Gain over gray under each damage of old photos, as a table, and a picture of the worst ones."""
    means, wins, worst = gains.mean(), (gains > 0).mean(), ", ".join(worst_damages(gains))
    rows = "\n".join(f"| {label} | {means[label]:+.2f} | {100 * wins[label]:.0f} % |" for label in gains)
    return f"""
| damage, on {len(gains):,} of the validation photos | gain over gray, dB PSNR | closer than gray on |
|---|---|---|
{rows}
| gray, under each | +0.00 | |

Least is gained under {worst}. A photo under them as the network sees it, and below it in its colors:

![A photo under {worst}, gray and in color]({PICTURE})
"""


def _recipe(train: Train) -> str:
    """Optimizer, schedule and number of epochs, in one line."""
    steps = f"{train.optimizer}, {train.schedule}, lr {train.lr:g}, batch {train.batch_size}, {train.epochs} epochs"
    steps += f", weight decay {train.weight_decay:g}" * (train.optimizer == "adamw")
    steps += f", moving average of the weights {train.ema:g}" * bool(train.ema)
    steps += f", damage on a share of {train.damage:g}" * bool(train.damage)
    steps += ", frozen batch norm" * train.freeze_norm
    steps += f", the shipped model distilled by {train.distill:g}" * bool(train.distill)
    return steps


def _factors(summary: dict[str, Any], calibrate: bool) -> str:
    """The factors of both renderings and the photos they were fitted on."""
    factors = ", ".join(f"{name} {factor:g}" for name, factor in summary["renderings"].items())
    factors += " (faithful: as the network gives it)" * (not calibrate)
    if summary["n_calibration"]:
        return f"{factors}; fitted on {summary['n_calibration']:,} validation photos"
    few = f"{summary['n_val']:,} validation photos are too few to fit them on"
    return f"{factors}; {few}, so the shipped model's factors were kept"
