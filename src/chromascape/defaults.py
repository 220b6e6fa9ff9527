"""The values that params.yaml comes with: what a recipe is compared with, to say what is special about it.

They are kept apart from params.yaml, which is there to be edited. A test holds both equal in the repository.
"""

from typing import Any

DEFAULTS: dict[str, Any] = {
    "data.dir": "data/sample",
    "data.train_only": [],
    "data.split.train": 0.8,
    "data.split.val": 0.1,
    "data.split.test": 0.1,
    "data.split.seed": 223,
    "data.split.burst_seconds": 5.0,
    "data.split.same_scene": [
        "mvtb-data/campus/*",
        "mvtb-data/building2-*",
        "mvtb-data/church.*",
        "mvtb-data/eiffel-*",
        "mvtb-data/flowers*",
        "mvtb-data/mosaic/aerial-*",
        "mvtb-data/rocks2-*",
        "mvtb-data/tomato_*",
        "scikit-image/motorcycle_*",
    ],
    "sample.max_side": 1024,
    "validate.min_side": 128,
    "validate.max_pixels": 100000000,
    "validate.max_file_mb": 200.0,
    "validate.min_colorfulness": 4.0,
    "validate.near_duplicate_bits": 4,
    "validate.policy.cmyk": "reject",
    "validate.policy.palette": "reject",
    "validate.policy.alpha": "reject",
    "validate.policy.sixteen_bit": "reject",
    "validate.policy.rotated": "convert",
    "validate.policy.wrong_extension": "reject",
    "validate.policy.letterbox": "trim",
    "validate.min_accepted": 20,
    "validate.max_rejected_share": 0.8,
    "preprocess.side": 256,
    "preprocess.fit": "crop",
    "preprocess.shard_mb": 48.0,
    "train.network": "efficientnet",
    "train.init": "shipped",
    "train.input": "lightness",
    "train.loss.mse": 1.0,
    "train.loss.l1": 1.0,
    "train.loss.ssim": 0.0,
    "train.epochs": 10,
    "train.batch_size": 16,
    "train.lr": 0.0002,
    "train.optimizer": "adamw",
    "train.weight_decay": 0.05,
    "train.schedule": "onecycle",
    "train.flip": True,
    "train.side": 160,
    "train.crop": 0.4,
    "train.working_size": 192,
    "train.ema": 0.0,
    "train.calibrate": True,
    "train.vivid": 0.9,
    "train.photos": "train",
    "train.seed": 0,
    "train.device": "auto",
    "train.precision": "auto",
    "evaluate.bootstrap": 10000,
    "evaluate.seed": 0,
    "evaluate.rows": 4,
    "track.experiment": "chromascape",
    "jobs": 0,
}


def changes(params: dict[str, Any]) -> dict[str, Any]:
    """Those of the params, as `params.flatten` gives them, that differ from the defaults."""
    return {key: value for key, value in params.items() if key not in DEFAULTS or DEFAULTS[key] != value}
