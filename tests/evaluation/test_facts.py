"""What ``metrics.json`` says of the run."""

import pytest

from tandem import __version__
from tandem.evaluation.facts import described, interaction_facts, training_facts

LOG = interaction_facts("tables", {"path": "/logs/shop"}, "synthetic", None)


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        ({"data": LOG}, "/logs/shop (tables, 40,000 interactions)"),
        ({"data": interaction_facts("movielens", None, "synthetic", None)}, "generated data of 40,000 interactions"),
        ({}, "40,000 interactions"),  # prepared by an older version
    ],
)
def test_the_data_are_named_where_they_are_from_or_called_generated(quality, words):
    assert described(quality, 40_000, "interactions") == words


def test_epochs_are_counted_by_phase_and_a_resumed_run_is_the_same_run():
    search = [{"epoch": 1, "phase": "search"}, {"epoch": 2, "phase": "search", "chosen": True}]
    last = [{"epoch": 3, "phase": "publish"}, {"epoch": 4, "phase": "publish"}]
    facts = training_facts({"data": LOG}, {"epochs": 9, "resume": True}, search + last, 7, "all rows")
    assert facts == LOG | {
        "seed": 7,
        "settings": {"epochs": 9},
        "chosen_epoch": 2,
        "epochs_trained": {"search": 2, "publish": 2},
        "published_model": "all rows",
        "tandem_version": __version__,
    }


def test_a_history_without_phases_is_a_search():
    facts = training_facts({}, {}, [{"epoch": 1}, {"epoch": 2}], 7)
    assert (facts["epochs_trained"], facts["chosen_epoch"], facts["published_model"]) == (
        {"search": 2},
        None,
        "evaluated",
    )
