"""The view in which MLflow's page opens an experiment: its runs, compared."""

import json
import time

VIEW = "comparison"
SORTED_BY = "metrics.`val/gain_over_gray_db`"
# Figures of different photos do not compare: this tag names the validation photos, and runs are grouped by it.
VAL_PHOTOS = "chromascape.val_photos"
# Widths in pixels: MLflow's default of 100 cuts most headings off.
COLUMNS = {
    "attributes.`Run Name`": 290,
    SORTED_BY: 175,
    "metrics.`val/shipped_gain_over_gray_db`": 230,
    f"tags.`{VAL_PHOTOS}`": 190,
    "metrics.`gain_over_gray_db`": 145,
    "params.`train.network`": 115,
    "params.`train.init`": 85,
    "params.`train.epochs`": 105,
    "params.`data.dir`": 110,
    "runDateAndNestInfo": 140,  # start time and status
}
ALWAYS_SHOWN = ("attributes.`Run Name`", "runDateAndNestInfo")
# MLflow adds a chart for every other metric, section by section.
# Bars stand beside each other without their group, so that they show what is gained over the same model on the same
# photos. Losses are no headline: they do not compare where `train.loss` differs.
CHARTS: list[dict[str, object]] = [
    {"type": "BAR", "metricKey": "val/gain_over_shipped_db"},
    {
        "type": "LINE",
        "metricSectionId": "train",
        "metricKey": "train_loss",
        "selectedMetricKeys": ["train_loss", "val_loss", "gray_val_loss"],
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
    },
]
PHOTOS = 4  # pictures in the view: a row a photo, a column a run
HEADLINES = "Which is better"
# Sections of charts in their order; MLflow calls metrics without a slash "Model metrics".
SECTIONS = (HEADLINES, "photos", "Model metrics", "val", "test", "shipped", "gray", "train", "System metrics")
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
        "orderByKey": SORTED_BY,
        "orderByAsc": False,
        "selectedColumns": selected,
        "columnOrder": list(COLUMNS),
        "columnWidths": COLUMNS,
        "compareRunCharts": _charts(),
        "compareRunSections": sections,
        "isAccordionReordered": True,
        "groupBy": {"aggregateFunction": "max", "groupByKeys": [{"mode": "tag", "groupByData": VAL_PHOTOS}]},
        "groupsExpanded": {f"tag.{VAL_PHOTOS}": True},  # of runs without the tag, such as one that is training
        "useGroupedValuesInCharts": False,
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
