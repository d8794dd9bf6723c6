"""The last lines of a run: where the lists and the reports are that it made."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog

if TYPE_CHECKING:
    from tandem.storage.locations import RemotePath

logger = logging.getLogger(__name__)

LISTS = "_recommendations"
METRICS = "_metrics"
CHARTS = ("_comparison", "_loss_curves", "_calibration")


class EndOfRunHook:
    """Notes what a run saves, and says at its end where lists and reports are: a line for each. Others end silently."""

    def __init__(self) -> None:
        self._saved: list[str] = []

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Forget an earlier run of this process."""
        self._saved.clear()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Note it."""
        self._saved.append(dataset_name)

    @hook_impl
    def after_pipeline_run(self, catalog: DataCatalog) -> None:
        """Say where things are; a run that made neither lists nor a report says nothing."""
        for name in dict.fromkeys(self._saved):
            place = _place(catalog, name)
            if place is not None and name.endswith(LISTS):
                logger.info("lists: %s%s", _shown(place), _users(place))
            elif place is not None and name.endswith(METRICS):
                subject = name.removesuffix(METRICS)
                charts = [_place(catalog, subject + chart) for chart in CHARTS if subject + chart in self._saved]
                names = [chart.name for chart in charts if chart is not None]
                logger.info("report: %s", ", ".join([_shown(place), *names]))


def _place(catalog: DataCatalog, name: str) -> "Path | RemotePath | None":
    """Where an entry's file or folder is; None where it has none, as an entry of the user's own may."""
    from tandem.storage.locations import location

    filepath = getattr(catalog.get(name), "_filepath", None)
    return None if filepath is None else location(filepath)


def _shown(place: "Path | RemotePath") -> str:
    """As the user would write it here."""
    if isinstance(place, Path) and place.is_relative_to(Path.cwd()):
        place = place.relative_to(Path.cwd())
    return str(place)


def _users(place: "Path | RemotePath") -> str:
    """For how many users there are lists, from the column ``rank`` of the table."""
    import pyarrow.compute as pc

    from tandem.storage.parquet import scan

    firsts = (pc.sum(pc.equal(batch.column("rank"), 1)).as_py() or 0 for batch in scan(place, ["rank"]))
    return f" ({sum(firsts):,} users)"
