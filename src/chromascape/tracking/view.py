"""The view in which MLflow's page opens an experiment: its runs, compared."""

import json
import time

VIEW = "comparison"
# Widths in pixels: MLflow's default of 100 cuts most headings off.
COLUMNS = {
    "attributes.`Run Name`": 270,
    "metrics.`gain_over_gray_db`": 145,
    "metrics.`win_rate_over_gray`": 150,
    "metrics.`psnr_db`": 80,
    "metrics.`ssim`": 70,
    "metrics.`val_loss`": 80,
    "params.`train.network`": 115,
    "params.`train.init`": 85,
    "params.`train.epochs`": 105,
    "params.`data.dir`": 110,
    "runDateAndNestInfo": 140,  # start time and status
}
ALWAYS_SHOWN = ("attributes.`Run Name`", "runDateAndNestInfo")
# MLflow adds a chart for every other metric, section by section.
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
PHOTOS = 4  # pictures in the view: a row a photo, a column a run
HEADLINES = "Which is better"
# Sections of charts in their order; MLflow calls metrics without a slash "Model metrics".
SECTIONS = (HEADLINES, "photos", "Model metrics", "test", "gray", "val", "train", "System metrics")
OPEN = (HEADLINES, "photos")
GRID = {"columns": 1, "cardHeight": 900}  # of the photos; other sections have three columns of 360 pixels


def experiment_tags() -> dict[str, str]:
    """Tags that make MLflow 3 open an experiment on its runs, in the view below (in the page's own format)."""
    sections = [
        {"uuid": name, "name": name, "display": name in OPEN, "isReordered": True, "isGenerated": True}
        | (GRID if name == "photos" else {})
        for name in SECTIONS
    ]
    selected = [name for name in COLUMNS if name not in ALWAYS_SHOWN]
    state = {
        "orderByKey": selected[0],
        "orderByAsc": False,
        "selectedColumns": selected,
        "columnOrder": list(COLUMNS),
        "columnWidths": COLUMNS,
        "compareRunCharts": _charts(),
        "compareRunSections": sections,
        "isAccordionReordered": True,
    }
    now = int(time.time() * 1000)
    view = {"name": "Gain over gray", "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    return {
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view),
    }


def _charts() -> list[dict[str, object]]:
    """Charts of figures, and one grid of all photos; without params, which the page would write over each picture."""
    keys = [f"photos/photo-{number}" for number in range(1, PHOTOS + 1)]
    picture = {"type": "IMAGE", "metricSectionId": "photos", "showRunParams": False, "step": 0}
    # Without these deleted charts, the page would add one for each picture.
    single = [picture | {"imageKeys": [key], "deleted": True} for key in keys]
    return [
        {"uuid": f"headline-{number}", "runsCountToCompare": 100, "metricSectionId": HEADLINES, "isGenerated": False}
        | {"deleted": False}
        | chart
        for number, chart in enumerate([*CHARTS, picture | {"imageKeys": keys}, *single])
    ]
