"""The command `lastword`: its commands, and how errors become one line and an exit code."""

import os
import sqlite3
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer

from lastword import (
    bench_command,
    compare_command,
    demo,
    devset_command,
    embed_commands,
    eval_commands,
    fuse_command,
    index_commands,
    mine_command,
    overlap_command,
    prompt_commands,
    report_command,
    reproduce_command,
    search_commands,
    train_commands,
    tune_command,
    upkeep_commands,
)

INTERRUPTED = 130
FAILED = 2

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer does not export it
_EXPECTED = (ValueError, OSError, MemoryError, sqlite3.Error, _UsageError)
"""What a user, a file or a machine can cause; anything else is our bug and shows a traceback."""

app = typer.Typer(
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (
    demo,
    index_commands,
    upkeep_commands,
    search_commands,
    embed_commands,
    compare_command,
    report_command,
    fuse_command,
    reproduce_command,
    tune_command,
    devset_command,
):
    app.add_typer(commands.app)
app.add_typer(eval_commands.app, name="eval")
app.add_typer(bench_command.app, name="bench")
app.add_typer(prompt_commands.app, name="prompts")
for commands in (mine_command, overlap_command):
    train_commands.app.add_typer(commands.app)
app.add_typer(train_commands.app, name="train")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"lastword {version('lastword')}\n")
        raise typer.Exit


@app.callback()
def _options(
    version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Turn any language model into a search engine, with no training."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for an error, 130 for Ctrl-C."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Spinning threads lose 95 % of the speed where another program wants a core: docs/log.md.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # an error is one line, not every retry
    try:
        code = app(args=given or ["--help"], prog_name="lastword", standalone_mode=False)
    except BrokenPipeError:  # the reader of our output, e.g. head, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except _EXPECTED as error:
        sys.stderr.write(f"lastword: {_in_one_line(error)}\n")
        return FAILED
    if code == INTERRUPTED:
        sys.stderr.write(
            "lastword: interrupted; what was committed is kept, "
            "and the same command again goes on from there\n"
        )
    return code or 0


def _in_one_line(error: Exception) -> str:
    if isinstance(error, _UsageError):
        usage: Any = error
        where = usage.ctx.command_path if usage.ctx else "lastword"
        text = f"{usage.format_message()} See {where} --help."
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {error.filename}"
    elif isinstance(error, MemoryError):
        text = str(error) or "out of memory"
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())
