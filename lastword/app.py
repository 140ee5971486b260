"""The command `lastword`: what it consists of."""

import inspect
import sys
from typing import Annotated

import typer

from lastword.commands.collection import demo
from lastword.commands.collection import devset as devset_command
from lastword.commands.collection import documents as document_commands
from lastword.commands.collection import embed as embed_commands
from lastword.commands.collection import exchange as exchange_commands
from lastword.commands.collection import index as index_commands
from lastword.commands.collection import maintain as upkeep_commands
from lastword.commands.collection import models as models_command
from lastword.commands.collection import plan as plan_command
from lastword.commands.collection import push as push_command
from lastword.commands.collection import recall as recall_command
from lastword.commands.collection import sync as sync_command
from lastword.commands.evaluate import reproduce as reproduce_command
from lastword.commands.evaluate import retrieval as eval_commands
from lastword.commands.prompts import layers as layers_command
from lastword.commands.prompts import prompts as prompt_commands
from lastword.commands.prompts import tune as tune_command
from lastword.commands.search import explain as explain_command
from lastword.commands.search import robustness as robustness_command
from lastword.commands.search import search as search_commands
from lastword.commands.serving import mcp as mcp_command
from lastword.commands.serving import serve as serve_command
from lastword.commands.study import bench as bench_command
from lastword.commands.study import compare as compare_command
from lastword.commands.study import fuse as fuse_command
from lastword.commands.study import report as report_command
from lastword.commands.train import mine as mine_command
from lastword.commands.train import overlap as overlap_command
from lastword.commands.train import train as train_commands

_EXIT_CODES = (
    "Exit codes: 0 done; 1 the reader of the output has left (a closed pipe), or of reproduce a "
    "figure is out of its tolerance; 2 an error, in one line on stderr; 130 Ctrl-C."
)

app = typer.Typer(
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (
    demo,
    index_commands,
    sync_command,
    upkeep_commands,
    search_commands,
    explain_command,
    serve_command,
    mcp_command,
    document_commands,
    embed_commands,
    exchange_commands,
    push_command,
    models_command,
    plan_command,
    recall_command,
    compare_command,
    report_command,
    robustness_command,
    fuse_command,
    reproduce_command,
    tune_command,
    devset_command,
):
    app.add_typer(commands.app)
app.add_typer(eval_commands.app, name="eval")
app.add_typer(bench_command.app, name="bench")
prompt_commands.app.add_typer(layers_command.app)
app.add_typer(prompt_commands.app, name="prompts")
for commands in (mine_command, overlap_command):
    train_commands.app.add_typer(commands.app)
app.add_typer(train_commands.app, name="train")


def _join_lines(commands: typer.Typer) -> None:
    """Let help pages wrap paragraphs to the screen: typer keeps the line ends of the source."""
    for command in commands.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(lines.split()) for lines in paragraphs)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _join_lines(group.typer_instance)


_join_lines(app)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        sys.stdout.write(f"lastword {version('lastword')}\n")
        raise typer.Exit


@app.callback(epilog=_EXIT_CODES)
def _options(
    version_wanted: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Turn any language model into a search engine, with no training."""
