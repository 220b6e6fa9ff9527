"""The mean of two models' weights: `python experiments/blend.py FIRST SECOND -o FOLDER [--share 0.5]`.

A fine-tuned model and the one that it started from lie in one valley of the loss, so that weights between them keep
most of what both are good at (Wortsman et al. 2022, arXiv:2109.01903). The factors of the renderings are the first's.
"""

import argparse
from pathlib import Path

from chromascape.colorizing.torch_network import load_network, save
from chromascape.colorizing.training_photos import join, read_seen, write_seen
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_folder


def main() -> None:
    """Write the model between two."""
    parser = argparse.ArgumentParser(description="The mean of two models' weights.")
    parser.add_argument("first", type=Path, help="folder of a model, such as src/chromascape/colorizing/weights")
    parser.add_argument("second", type=Path, help="folder of one that was fine-tuned from it")
    parser.add_argument("--share", type=float, default=0.5, help="of the second, 0 to 1")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    options = parser.parse_args()
    try:
        blend(options.first, options.second, options.share, options.output)
    except ChromascapeError as error:
        parser.exit(1, f"error: {error}\n")


def blend(first: Path, second: Path, share: float, folder: Path) -> None:
    """Write the model whose weights are `1 - share` of the first's and `share` of the second's.

    Raises:
        ChromascapeError: a model can't be read, both are of different networks, or the share is not in 0..1.
    """
    if not 0 <= share <= 1:
        raise ChromascapeError(f"--share: {share} is not from 0 to 1")
    (config, one), (other_config, other) = load_network(first), load_network(second)
    if config["network"] != other_config["network"]:
        raise ChromascapeError(f"{second}: has network {other_config['network']}, and {first} {config['network']}")
    theirs = other.state_dict()
    weights = {
        name: value.lerp(theirs[name], share) if value.is_floating_point() else value
        for name, value in one.state_dict().items()
    }
    with atomic_folder(folder) as temporary:
        luma = config["input"] == "luma"
        save(temporary, weights, config["network"], config["size"], config["renderings"], luma)
        trained, chose = (join(*(read_seen(model, only) for model in (first, second))) for only in (True, False))
        write_seen(temporary, trained, chose)


if __name__ == "__main__":
    main()
