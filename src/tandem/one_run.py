"""A hook of Kedro's: one run at a time in a project's ``data`` folder, whoever starts it.

The command takes the lock as soon as it knows the project, before Spark starts; a ``KedroSession`` of a notebook, or
of a script, with the first node. What only looks at the project (``kedro viz``, ``--dry-run``) takes none.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from tandem.storage.run_lock import RunLock
from tandem.storage.siblings import sweep

DATA = "data"
DRY_RUNNER = "tandem.dry_run.DryRunner"  # imported where it is asked for


class OneRunHook:
    """Holds the lock of the data folder from the beginning of a run to its end."""

    at_once: ClassVar[bool] = False
    _held: ClassVar[RunLock | None] = None

    @hook_impl(tryfirst=True)  # before Spark starts
    def after_context_created(self, context: KedroContext) -> None:
        """Raises UserError where another run is at work; only the run command knows so early that there is a run."""
        if self.at_once:
            self._begin(context.project_path)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Raises UserError where another run is at work."""
        if DRY_RUNNER not in str(run_params["runner"]):
            self._begin(Path(run_params["project_path"]))

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Let others work there."""
        self.end()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Let others work there."""
        self.end()

    @classmethod
    def _begin(cls, project: Path) -> None:
        """Take the lock, and remove what killed runs left.

        In this process the last run is over, though nobody may have said so: a notebook's was interrupted.
        """
        folder = project.resolve() / DATA
        if cls._held is None or cls._held.folder != folder:
            cls.end()
            lock = RunLock(folder)
            lock.take()
            cls._held = lock
            with suppress(OSError):  # where that is not allowed, the write that needs the place says so
                sweep(folder)

    @classmethod
    def end(cls) -> None:
        """Give the lock back, if it is held."""
        lock, cls._held = cls._held, None
        if lock is not None:
            lock.release()
