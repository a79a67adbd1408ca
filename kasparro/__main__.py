"""The command line: `kasparro`, or `python -m kasparro`. Argument parsing and exit codes, nothing else.

Which commands and arguments there are is commands/arguments.py.

0 done, 1 failed, 2 usage or configuration, 130 interrupted, 141 stdout was a pipe that closed, 143 asked to end; `run`
also has 3 and 75, see commands/runner.py.
"""

import argparse
import atexit
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from kasparro import __version__, errors
from kasparro.commands import signals, streams
from kasparro.commands.arguments import COMMANDS
from kasparro.config import SOURCE_VARIABLES, VARIABLES, Config

FAILED, USAGE = 1, 2
# What shells report for a program that a closed pipe or Ctrl-C ended: 128 and the signal's number.
BROKEN_PIPE, INTERRUPTED = 141, 130

Run = Callable[[argparse.Namespace, Config, signals.Stop], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names (None: the process's arguments) and return its exit code."""
    streams.prepare()
    # At its end the interpreter would look for garbage among all that was imported: a fifth of what a short command
    # takes, and seconds of a stop on a loaded machine.
    atexit.register(gc.freeze)
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except OSError as ex:
        failure = streams.abandon_stdout()
        if isinstance(failure or ex, BrokenPipeError):
            return BROKEN_PIPE
        if failure is not None:
            return _complain([f"cannot write to stdout: {failure.strerror}"], FAILED)
        where = f": {ex.filename}" if ex.filename else ""
        return _complain([f"cannot write or read: {ex.strerror or ex}{where}"], FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: Sequence[str] | None) -> int:
    # Also what a signal does to a command that winds up, until there is something to wind up.
    signals.end_at_once()
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    command = COMMANDS[args.command]
    stop = signals.Stop()
    try:
        run, config = _load(args.command), _config(reads_sources=command.reads_sources)
        if command.winds_up:
            signals.catch(stop)
        return run(args, config, stop)
    except errors.ConfigError as ex:
        # Docker knows only 0 and 1 for a health check.
        return _complain(ex.problems, FAILED if args.command == "healthcheck" else USAGE)
    except errors.StoppedError:
        return stop.exit_code
    except errors.KasparroError as ex:
        return _complain([ex.message], FAILED)


def _config(*, reads_sources: bool) -> Config:
    """The settings. Raises ConfigError with their problems and, for a command that reads sources, those of sources."""
    config, problems = Config.read(os.environ)
    if problems and reads_sources:
        problems += importlib.import_module("kasparro.commands.sources").problems(config, known=problems)
    if problems:
        raise errors.ConfigError(problems)
    return config


def _load(name: str) -> Run:
    """A command's function. Only its own file is imported: a health check every few seconds needs little."""
    run: Run = importlib.import_module(f"kasparro.commands.{name}").run
    return run


def _complain(problems: Sequence[str], code: int) -> int:
    # Only a command that fails has to load it.
    from kasparro.commands import output

    for problem in problems:
        output.say(f"kasparro: {problem}", stream=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kasparro",
        description="A trustworthy, queryable record of crypto market quotes.",
        epilog=_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kasparro {__version__}")
    subparsers = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(subparsers.add_parser(name, help=command.help, description=command.help))
    return parser


def _settings() -> str:
    """The settings, all of them environment variables."""
    variables = VARIABLES | {f"KASPARRO_SOURCE_<NAME>_{{{','.join(SOURCE_VARIABLES)}}}": "change one source"}
    width = max(len(name) for name in VARIABLES)
    lines = [
        f"  {name:<{width}}  {meaning}" if len(name) <= width else f"  {name}\n  {'':{width}}  {meaning}"
        for name, meaning in variables.items()
    ]
    return "\n".join(("settings (environment; secrets also as NAME_FILE, a path):", *lines))


if __name__ == "__main__":
    sys.exit(main())
