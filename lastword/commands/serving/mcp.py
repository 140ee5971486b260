"""The command that gives indexes to agents."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.options import DeviceOptions, Output
from lastword.cli.screen import Screen

app = Typer()


@dataclass(frozen=True, slots=True)
class AgentOptions(DeviceOptions):
    """How agents reach the server, and how it searches."""

    http: Annotated[
        bool, Option("--http", help="Answer over streamable HTTP instead of stdin and stdout.")
    ] = False
    host: Annotated[str, Option(help="Address to listen at, of this machine alone.")] = "127.0.0.1"
    port: Annotated[int, Option(min=1, max=65535, help="Port to listen at.")] = 8011


@command(
    app,
    [
        "lastword mcp my.index",
        "lastword mcp notes.index mail.index",
        "lastword mcp my.index --http --port 8011",
    ],
)
def mcp(
    paths: Annotated[list[Path], Argument(metavar="INDEX...", help="Indexes to search.")],
    serving: AgentOptions,
    output: Output,
) -> None:
    """Give indexes to language-model agents, as tools of the Model Context Protocol.

    The tools are search, get_document, explain and list_indexes; they read, and change nothing.
    An agent starts the command itself and speaks with it over stdin and stdout; with --http it
    answers at http://HOST:PORT/mcp. Changes of an index show at the next call.
    """
    from lastword.agents.server import PATH, make_server, serve_http
    from lastword.agents.tools import AgentTools
    from lastword.server.indexes import open_engines
    from lastword.server.listening import address_of, open_socket
    from lastword.server.settings import is_loopback

    screen = Screen(output)
    if not is_loopback(serving.host):
        raise ValueError(
            "--host must be an address of this machine alone, such as 127.0.0.1, since whoever "
            f"reaches the server may read the documents; got {serving.host!r}"
        )
    with ExitStack() as opened:
        listener = None
        if serving.http:
            listener = opened.enter_context(open_socket(serving.host, serving.port))
        with screen.loading("models"):
            engines = open_engines(paths, serving)
        for engine in engines.values():
            opened.enter_context(engine)
        server = make_server(AgentTools(engines))
        listed = ", ".join(
            f"{name} ({len(engine):,} documents)" for name, engine in engines.items()
        )
        if listener is not None:
            screen.remark(f"{listed}: {address_of(listener)}{PATH}, Ctrl-C ends.")
            serve_http(server, listener)
        else:
            screen.remark(f"{listed}: answering on stdin and stdout, Ctrl-C ends.")
            server.run("stdio")
