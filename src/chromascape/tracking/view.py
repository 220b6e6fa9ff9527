"""How MLflow's page shows an experiment: on its runs, in a view that compares them."""

import json
import time

VIEW = "comparison"
COLUMNS = [
    "metrics.`gain_over_gray_db`",
    "metrics.`win_rate_over_gray`",
    "metrics.`psnr_db`",
    "metrics.`ssim`",
    "metrics.`val_loss`",
    "params.`train.network`",
    "params.`train.init`",
    "params.`train.epochs`",
    "params.`data.dir`",
]
# The page adds a chart for every other metric and picture, section by section.
CHARTS: list[dict[str, object]] = [
    {"type": "BAR", "metricKey": "gain_over_gray_db"},
    {"type": "BAR", "metricKey": "win_rate_over_gray"},
    {
        "type": "LINE",
        "metricKey": "val_loss",
        "selectedMetricKeys": ["val_loss", "gray_val_loss"],
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
    },
]
PHOTOS = 4  # pictures that the view lays out; by itself the page writes all params beside each
# Of charts, in this order; those without a slash in their name are MLflow's "Model metrics".
SECTIONS = ("Model metrics", "photos", "test", "gray", "val", "train", "System metrics")
FOLDED = ("gray", "val", "train", "System metrics")


def experiment_tags() -> dict[str, str]:
    """Tags by which MLflow 3 opens an experiment on its runs, with the view in the form in which its page reads one."""
    sections = [
        {"uuid": name, "name": name, "display": name not in FOLDED, "isReordered": True, "isGenerated": True}
        for name in SECTIONS
    ]
    photos: list[dict[str, object]] = [
        {"type": "IMAGE", "metricSectionId": "photos", "imageKeys": [f"photos/photo-{number}"], "showRunParams": False}
        | {"step": 0}
        for number in range(1, PHOTOS + 1)
    ]
    charts = [
        {"uuid": f"headline-{number}", "runsCountToCompare": 100, "metricSectionId": SECTIONS[0], "isGenerated": False}
        | {"deleted": False}
        | chart
        for number, chart in enumerate(CHARTS + photos)
    ]
    state = {
        "orderByKey": COLUMNS[0],
        "orderByAsc": False,
        "selectedColumns": COLUMNS,
        "columnOrder": COLUMNS,
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
    }
    now = int(time.time() * 1000)
    view = {"name": "Gain over gray", "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    return {
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view),
    }
