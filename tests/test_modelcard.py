"""The card that travels with the weights."""

from collections.abc import Callable

from chromascape.modelcard import model_card
from chromascape.params import Params

SUMMARY = {
    "parameters": 3_244_173,
    "n_train": 47,
    "n_val": 5,
    "best_epoch": 7,
    "val_loss": 0.0421,
    "gray_val_loss": 0.0469,
}


def test_the_card_states_recipe_data_and_grays_loss(make_params: Callable[..., Params]) -> None:
    card = model_card(make_params({"train.lr": 0.003, "data.split.seed": 9, "train.seed": 5}), SUMMARY)
    assert "`unet`, 3,244,173 parameters" in card
    assert "train 0.8, val 0.1, test 0.1, seed 9" in card
    assert "lr 0.003" in card and "| Seed | 5 |" in card
    assert "7: validation loss 0.0421, gray's 0.0469" in card
    assert "held-out" not in card


def test_the_card_says_so_where_nothing_was_held_out(make_params: Callable[..., Params]) -> None:
    assert "no figure measured on them is a held-out one" in model_card(make_params({"train.on": "all"}), SUMMARY)
