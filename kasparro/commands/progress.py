"""How far have runs come? A line for each on the terminal behind stderr, gone when they end."""

import contextlib
import sys
import threading
from collections.abc import Iterator

from kasparro.commands import runner


@contextlib.contextmanager
def lines() -> Iterator[runner.Watch]:
    """Whom runs tell; nobody where stderr is no terminal. Log lines appear above them."""
    if not sys.stderr.isatty():
        yield runner.nobody_watches
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.completed:>12,.0f} records"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[slice]}", markup=False),
    )
    lock = threading.Lock()
    shown: dict[str, int] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def watch(source: str, slice_name: str, records: int) -> None:
            with lock:
                if source not in shown:
                    shown[source] = int(progress.add_task(source, total=None, slice=slice_name))
            progress.update(progress.task_ids[shown[source]], completed=records, slice=slice_name)

        yield watch
