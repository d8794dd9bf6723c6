"""The classical models beside a click model: on the same rows, of the same columns."""

from collections.abc import Iterable, Mapping

from tandem.batches.columns import LABEL, read_column_rows
from tandem.evaluation.baselines import BaselineResult
from tandem.evaluation.click_baselines import Rows, evaluate_click_baselines
from tandem.parameters import ClickParameters
from tandem.storage.locations import Location


def baselines_of(
    model: str, parameters: ClickParameters, sizes: Mapping[str, int], train: Location, test: Location, seed: int
) -> dict[str, BaselineResult]:
    """Metrics, settings and seconds of each, by its name.

    Args:
        model: name of the click model.
        parameters: its block; says which baselines, and which numbers they read.
        sizes: number of ids of each id column that they read, 0 included.
        train: folder of the rows to fit on.
        test: folder of the rows to predict.
        seed: of the rows that settings are chosen on.

    Raises:
        UserError: the library of a baseline is missing.
    """
    fitted, asked = (_rows(part, sizes, parameters.model.continuous) for part in (train, test))
    return evaluate_click_baselines(fitted, asked, tuple(sizes.values()), parameters.baselines, model=model, seed=seed)


def _rows(folder: Location, ids: Iterable[str], numbers: tuple[str, ...]) -> Rows:
    read = read_column_rows(folder, (*ids, LABEL), numbers)
    return read.ints[:, :-1], read.floats, read.column(LABEL)
