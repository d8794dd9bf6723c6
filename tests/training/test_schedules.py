import pytest

from tandem.parameters import NCFParameters
from tandem.training.schedules import learning_rate


def rates(schedule: str, *moments: float, warmup: float = 0.0) -> list[float]:
    parameters = NCFParameters(
        epochs=10,
        learning_rate=0.8,
        learning_rate_schedule=schedule,
        warmup_epochs=warmup,
        learning_rate_step_factor=0.5,
    )
    return [learning_rate(parameters, moment) for moment in moments]


def test_schedules_at_the_start_the_middle_and_the_end():
    assert rates("constant", 0, 5, 10) == [0.8, 0.8, 0.8]
    assert rates("linear", 0, 5, 10) == pytest.approx([0.8, 0.4, 0.0])
    assert rates("cosine", 0, 5, 10) == pytest.approx([0.8, 0.4, 0.0])
    assert rates("step", 0.5, 1.5, 2.5) == pytest.approx([0.8, 0.4, 0.2])


def test_all_steps_of_an_epoch_have_one_rate_where_it_falls_by_epochs():
    steps = 3
    moments = [epoch + (step + 1) / steps for epoch in range(3) for step in range(steps)]
    assert rates("step", *moments) == pytest.approx([0.8] * steps + [0.4] * steps + [0.2] * steps)
    assert rates("step", 0.0) == [0.8]


def test_warm_up_rises_linearly_and_leaves_the_rest_to_the_schedule():
    assert rates("linear", 0.5, 1.0, 2.0, 6.0, 10.0, warmup=2.0) == pytest.approx([0.2, 0.4, 0.8, 0.4, 0.0])


def test_a_shorter_training_comes_to_the_end_of_its_schedule():
    parameters = NCFParameters(epochs=10, learning_rate=0.8, learning_rate_schedule="linear")
    assert learning_rate(parameters, 4.0, epochs=4) == pytest.approx(0.0)
