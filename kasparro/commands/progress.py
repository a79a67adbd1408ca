"""How far have runs come? A line for each on the terminal behind stderr, gone when they end."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

from kasparro.commands import runner

# Told before every step: (steps done, steps in all, what comes now).
Step = Callable[[int, int, str], None]


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


@contextlib.contextmanager
def bar() -> Iterator[Step]:
    """Whom work with a known end tells how far it has come; nobody where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _now: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task_id = progress.add_task("", total=None)
        yield lambda done, total, now: progress.update(task_id, completed=done, total=total, description=now)
