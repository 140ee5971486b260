"""A chat model that judges lists by what it was told, for tests of tuning without judgements."""

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from embedder.inputs.conversation import Turn


class Scripted:
    """A judge that prefers the list with the answer nearer to its head.

    Attributes:
        kind: "better"; "worse" prefers the other one, and "first" says List A always.
        answers: query -> beginning of the text that answers it; of others, whose words are made
            of a text, the text with the most of these words does.
        calls: questions so far.
    """

    name = "scripted"

    def __init__(self, kind: str = "better", answers: Mapping[str, str] | None = None) -> None:
        self.kind, self.answers, self.calls = kind, answers or {}, 0

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Say A, B or tie."""
        self.calls += 1
        query, lists = turns[-1].text.split("List A:")
        query = query.removeprefix("Query: ").strip()
        first, second = (self._value(query, part) for part in lists.split("List B:"))
        if self.kind == "first" or first == second:
            return "A" if self.kind == "first" else "tie"
        return "A" if (first > second) == (self.kind == "better") else "B"

    def _value(self, query: str, listing: str) -> float:
        texts = [line[2:] for line in listing.splitlines() if line.startswith("- ")]
        if query in self.answers:
            found = [at for at, text in enumerate(texts) if text.startswith(self.answers[query])]
        else:
            words = set(query.split())
            found = [at for at, text in enumerate(texts) if words <= {*re.findall(r"\w+", text)}]
        return 1 / (1 + found[0]) if found else 0.0


@contextmanager
def serve_judge(judge: Scripted) -> Iterator[str]:
    """Serve a scripted judge as chat models are served."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert body["temperature"] == 0  # a judge drew its letters once
            said = judge.answer([Turn("user", body["messages"][-1]["content"])], 0, 4)
            answer = json.dumps({"choices": [{"message": {"content": said}}]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
