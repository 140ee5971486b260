"""The command that serves indexes over HTTP."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option, Typer

from embedder.files.config_file import read_small_file
from lastword.cli.command import command
from lastword.cli.options import DeviceOptions, Output
from lastword.cli.reranking import RerankOptions, check_reranking
from lastword.cli.screen import Screen, counted

app = Typer()

_LONGEST_FILE, _SHORTEST_KEY = 1 << 16, 16
_LIMITS, _LOGGING = "Limits", "Log"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask."""

    host: Annotated[
        str, Option(help="Address to listen at; any but this machine's own demands a key.")
    ] = "127.0.0.1"
    port: Annotated[int, Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8010
    api_key_file: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Keys, one a line, of which one must come with every request: "
            "Authorization: Bearer KEY.",
        ),
    ] = None
    writable: Annotated[
        bool, Option("--writable", help="Let clients add and delete documents.")
    ] = False
    cors: Annotated[
        list[str] | None,
        Option(metavar="ORIGIN", help="A web site whose pages may ask: https://example.org."),
    ] = None
    allow_host: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="A name by which it is reached too, e.g. through a proxy."),
    ] = None


@dataclass(frozen=True, slots=True)
class RerankerName:
    """What is loaded beside the models of the indexes."""

    rerank: Annotated[
        str,
        Option(
            metavar="HOW",
            help="Load what /rerank scores by: cross-encoder:NAME, of sentence-transformers; or, "
            "by the language model of the first index, prompt, prompt:FILE.toml or maxsim.",
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at a time."""

    queue: Annotated[
        int,
        Option(
            min=1,
            rich_help_panel=_LIMITS,
            help="Requests that are computed or wait; more are refused with 429.",
        ),
    ] = 256
    batch_wait_ms: Annotated[
        float,
        Option(
            min=0,
            max=1000,
            rich_help_panel=_LIMITS,
            help="Longest wait for others to join a batch.",
        ),
    ] = 5.0
    batch_tokens: Annotated[
        int,
        Option(min=1, rich_help_panel=_LIMITS, help="Tokens that are encoded together, about."),
    ] = 16384
    client_batch: Annotated[
        int,
        Option(
            min=1,
            max=10_000,
            rich_help_panel=_LIMITS,
            help="Texts of one request to /embed and its like; more are refused with 413.",
        ),
    ] = 32
    timeout: Annotated[
        float,
        Option(min=0.1, rich_help_panel=_LIMITS, help="Seconds until an answer is given up: 504."),
    ] = 30.0


@dataclass(frozen=True, slots=True)
class Logging:
    """What is said of requests."""

    log: Annotated[
        Literal["text", "json"],
        Option(rich_help_panel=_LOGGING, help="How lines of the log are written, on stderr."),
    ] = "text"
    log_queries: Annotated[
        bool, Option("--log-queries", rich_help_panel=_LOGGING, help="Log the texts of queries.")
    ] = False


@command(
    app,
    [
        "lastword serve my.index",
        "lastword serve my.index other.index --port 8011 --log json",
        "lastword serve my.index --writable",
        "lastword serve my.index --host 0.0.0.0 --api-key-file keys.txt",
        "curl 127.0.0.1:8010/v1/search -H 'Content-Type: application/json' "
        '-d \'{"query": "rotate a key"}\'',
    ],
)
def serve(
    paths: Annotated[list[Path], Argument(metavar="INDEX...", help="Folders of indexes.")],
    access: Access,
    limits: Limits,
    logging: Logging,
    chosen: RerankerName,
    device: DeviceOptions,
) -> None:
    """Serve indexes over HTTP: search, documents, embeddings and a web page.

    Models stay loaded, and requests of many clients are encoded together. What other programs do
    to an index shows within a second. SIGTERM and Ctrl-C finish what runs. The API is described
    at /openapi.json, counters are at /metrics.
    """
    try:
        from lastword.server.running import run_server
    except ImportError as error:
        raise ValueError(
            f"serve needs {error.name or error}: pip install 'lastword[serve]'"
        ) from error
    from embedder.models.loading import LLMOptions
    from embedder.rerank.load import load_reranker
    from lastword.server.indexes import open_engines
    from lastword.server.listening import address_of, open_socket
    from lastword.server.settings import ServerSettings

    settings = ServerSettings(**_settings(access, limits, logging))
    check_reranking(RerankOptions(chosen.rerank))
    options = LLMOptions(device=device.device, trust_remote_code=device.trust_remote_code)
    screen = Screen(Output())
    with open_socket(access.host, access.port) as listener:
        with screen.loading("models"):
            engines = open_engines(paths, device)
        address = address_of(listener)
        documents = counted(sum(map(len, engines.values())), "document")
        names = ", ".join(engines)
        try:
            encoders = next(iter(engines.values())).encoders
            reranker = load_reranker(chosen.rerank, encoders, options) if chosen.rerank else None
            run_server(
                engines,
                settings,
                listener,
                lambda: screen.remark(f"{address} serves {names}: {documents}. Ctrl-C stops it."),
                reranker,
            )
        finally:
            for engine in engines.values():
                engine.close()


def _settings(access: Access, limits: Limits, logging: Logging) -> dict[str, Any]:
    """Return what the options say, by the names of `ServerSettings`."""
    return {
        "host": access.host,
        "keys": _read_keys(access.api_key_file),
        "writable": access.writable,
        "places": limits.queue,
        "batch_wait": limits.batch_wait_ms / 1000,
        "batch_tokens": limits.batch_tokens,
        "client_batch": limits.client_batch,
        "origins": tuple(access.cors or ()),
        "hosts": tuple(access.allow_host or ()),
        "seconds": limits.timeout,
        "log_json": logging.log == "json",
        "log_queries": logging.log_queries,
    }


def _read_keys(path: Path | None) -> tuple[str, ...]:
    """Read the keys of a file.

    Raises:
        ValueError: it holds none, or a short one.
    """
    if path is None:
        return ()
    lines = read_small_file(path, _LONGEST_FILE).decode("ascii", "replace").split("\n")
    keys = tuple(line.strip() for line in lines if line.strip())
    if not keys or any(len(key) < _SHORTEST_KEY or not key.isascii() for key in keys):
        raise ValueError(
            f"{path}: expected a key a line, each of at least {_SHORTEST_KEY} ASCII characters; "
            "python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )
    return keys
