"""A real HTTP server of both embedding interfaces, which a test can make fail in many ways."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt

from embedder.checkpoints.variant import ModelVariant
from embedder.prompts.files import parse_prompt
from embedder.remote.encoder import RemoteEncoder
from embedder.remote.http_client import RetryRules
from embedder.types import Role

TEXTS = [f"text number {at}" for at in range(11)]
QUICK = RetryRules(tries=4, first_wait=0.001, longest_wait=2.0)
WIDTH, LIMIT, MOST = 8, 10, 4  # numbers of a row, tokens of a text, texts of a request
INFO = {
    "model_id": "tests/hash",
    "model_sha": "0123abcd",
    "model_dtype": "float32",
    "model_type": {"embedding": {"pooling": "mean"}},
    "max_concurrent_requests": 512,
    "max_input_length": LIMIT,
    "max_batch_tokens": 16384,
    "max_client_batch_size": MOST,
    "auto_truncate": False,
    "version": "1.8.0",
}
Answer = tuple[int, Any, dict[str, str]]  # status, body and headers
Override = Callable[["Request"], Answer | None]


def row(text: str) -> npt.NDArray[np.float32]:
    """Return the row of a text as the server reads it: its first words."""
    digest = hashlib.sha256(" ".join(words(text)[: LIMIT - 2]).encode()).digest()
    values = np.frombuffer(digest[:WIDTH], np.uint8).astype(np.float32) - 100
    unit: npt.NDArray[np.float32] = values / np.linalg.norm(values)
    return unit


def words(text: str) -> list[str]:
    return text.split()


def term(word: str) -> int:
    return hashlib.sha256(word.encode()).digest()[0]


@dataclass
class Request:
    """What came: the route, its body, and who has sent it."""

    route: str
    body: dict[str, Any]
    headers: dict[str, str]
    number: int


@dataclass
class Server:
    """A server that is running.

    Attributes:
        url: of its root.
        requests: in the order in which they came.
        info: what /info says.
        override: answers in place of the server where it returns something.
    """

    url: str
    requests: list[Request] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=lambda: dict(INFO))
    override: Override = lambda request: None

    def posted(self, route: str) -> list[Request]:
        return [request for request in self.requests if request.route == route]


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server on this machine while inside."""
    lock = threading.Lock()

    class Routes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer({})

        def do_POST(self) -> None:
            self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def answer(self, body: dict[str, Any]) -> None:
            with lock:
                request = Request(self.path, body, dict(self.headers), len(server.requests))
                server.requests.append(request)
            status, value, headers = server.override(request) or respond(server, request)
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in ({"Content-Length": str(len(data))} | headers).items():
                self.send_header(name, text)
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                pass  # whoever asked has gone

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Routes)
    server = Server(f"http://127.0.0.1:{http.server_port}")
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def respond(server: Server, request: Request) -> Answer:
    """Answer as the interfaces say."""
    body = request.body
    match request.route:
        case "/info":
            return 200, server.info, {}
        case "/health":
            return 200, b"", {}
        case "/v1/embeddings":
            return openai(body)
        case "/tokenize":
            own = 2 if body["add_special_tokens"] else 0
            return 200, [tokens(text, own) for text in body["inputs"]], {}
        case "/decode":
            return 200, [f"w{ids[0]}" for ids in body["ids"]], {}
        case "/embed" | "/embed_sparse":
            return embed(server, request.route, body)
    return 404, {"error": "no such route"}, {}


def tokens(text: str, own: int) -> list[dict[str, Any]]:
    listed = [{"id": term(word), "text": word, "special": False} for word in words(text)]
    return listed + [{"id": 0, "text": "[SEP]", "special": True}] * own


def embed(server: Server, route: str, body: dict[str, Any]) -> Answer:
    texts = body["inputs"]
    if len(texts) > server.info["max_client_batch_size"]:
        return 413, {"error": "batch size too large", "error_type": "validation"}, {}
    if "" in texts:
        return 400, {"error": "`inputs` cannot be empty", "error_type": "empty"}, {}
    if "unreadable" in texts:
        return 422, {"error": "tokenization error", "error_type": "tokenizer"}, {}
    longest = max(len(words(text)) + 2 for text in texts)
    if longest > LIMIT and not body["truncate"]:
        said = f"`inputs` must have less than {LIMIT} tokens. Given: {longest}"
        return 413, {"error": said, "error_type": "validation"}, {}
    headers = {"x-compute-tokens": str(sum(min(LIMIT, len(words(text)) + 2) for text in texts))}
    texts = [body.get("prompt_name", "") + text for text in texts]
    if route == "/embed":
        return 200, [row(text).tolist() for text in texts], headers
    counted = [
        {str(term(word)): words(text).count(word) for word in words(text)[: LIMIT - 2]}
        for text in texts
    ]
    rows = [[{"index": int(at), "value": float(n)} for at, n in one.items()] for one in counted]
    return 200, rows, headers


def openai(body: dict[str, Any]) -> Answer:
    texts = body["input"]
    if body["model"] != "hash":
        error = {"message": "The model does not exist", "type": "invalid_request_error"}
        return 404, {"error": error}, {}
    longest = max(len(words(text)) for text in texts)
    if longest > LIMIT or "" in texts or "unreadable" in texts:
        said = f"This model's maximum context length is {LIMIT} tokens, you requested {longest}."
        message = said if longest > LIMIT else "'$.input' is invalid."
        return 400, {"error": {"message": message, "type": "invalid_request_error"}}, {}
    texts = [body.get("prompt_name", "") + text for text in texts]
    rows = [row(text)[: body.get("dimensions", WIDTH)] for text in texts]
    packed: list[Any] = [one.tolist() for one in rows]
    if body["encoding_format"] == "base64":
        packed = [base64.b64encode(one.astype("<f4").tobytes()).decode() for one in rows]
    data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(packed)]
    count = sum(len(words(text)) for text in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return 200, {"object": "list", "data": data[::-1], "model": "hash-1", "usage": usage}, {}


Loader = Callable[[Server], RemoteEncoder]


def load_tei(server: Server, variant: ModelVariant | None = None, toml: str = "") -> RemoteEncoder:
    prompt = parse_prompt(toml, "a test") if toml else None
    return RemoteEncoder.load(f"tei:{server.url}", prompt, variant, QUICK)


def load_openai(server: Server, variant: ModelVariant | None = None) -> RemoteEncoder:
    return RemoteEncoder.load(f"openai:hash@{server.url}/v1", None, variant, QUICK)


def dense_rows(
    encoder: RemoteEncoder, texts: list[str], role: Role = Role.DOCUMENT
) -> npt.NDArray[np.float32]:
    rows = encoder.encode(texts, role).dense
    assert rows is not None
    return rows
