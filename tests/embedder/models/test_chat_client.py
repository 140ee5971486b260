"""A chat address keeps its key to itself, and fails in one line."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from embedder.inputs.conversation import Turn
from embedder.models.chat_client import SUREST, AddressChat, open_chat

NULL = json.dumps({"choices": [{"message": {"content": None}, "finish_reason": "length"}]})
BODIES = {
    "null": NULL.encode(),
    "bytes": b"\xff\xfe\x00 no text",
    "page": b"<html>not here</html>",
    "other": b'["no choices"]',
}


class Odd(BaseHTTPRequestHandler):
    """Answers in the way that it is asked for; keeps who came with a key."""

    keys: list[str | None]
    temperatures: list[float | None]

    def do_POST(self) -> None:
        """Answer one request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        how = asked["messages"][0]["content"]
        if how == "redirect":
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host']}/elsewhere")
            self.end_headers()
        elif how == "cut off":
            self.send_response(200)
            self.send_header("Content-Length", "500")
            self.end_headers()
            self.wfile.write(b"{")
        elif how == "temperature":
            self.temperatures.append(asked.get("temperature"))
            refused = self.temperatures[-1] == SUREST
            self.send_response(400 if refused else 200)
            self.end_headers()
            self.wfile.write(b"temperature: 0 is not supported" if refused else BODIES["null"])
        elif how == "no http":
            self.wfile.write(b"garbage\r\n\r\n")
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(BODIES[how])

    def do_GET(self) -> None:
        """Where the redirect leads."""
        self.keys.append(self.headers["Authorization"])
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LASTWORD_API_KEY", "secret")
    Odd.keys, Odd.temperatures = [], []
    server = HTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_a_redirect_does_not_take_the_key_along(address: str) -> None:
    with pytest.raises(ValueError, match="answered 302"):
        AddressChat(address).answer([Turn("user", "redirect")], 0, 5)
    assert Odd.keys == []


@pytest.mark.parametrize("how", ["cut off", "no http", "bytes", "page", "other"])
def test_what_cannot_be_read_is_an_error_of_one_line(how: str, address: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be asked|gave no answer") as failed:
        AddressChat(address, timeout=5).answer([Turn("user", how)], 0, 5)
    assert "\n" not in str(failed.value) and "secret" not in str(failed.value)


def test_an_answer_that_never_came_is_empty(address: str) -> None:
    """Some servers give null where thinking took all tokens; that is no wording called None."""
    assert AddressChat(address).answer([Turn("user", "null")], 0, 5) == ""


def test_a_model_that_takes_no_other_temperature_is_asked_at_its_own(address: str) -> None:
    """What judges is asked at 0, which models that think refuse."""
    chat = open_chat(address, SUREST)
    for _ in range(2):
        assert chat.answer([Turn("user", "temperature")], 0, 5) == ""
    assert open_chat(address).answer([Turn("user", "temperature")], 0, 5) == ""
    assert Odd.temperatures == [0, None, None, 1]


@pytest.mark.parametrize(
    "named",
    [
        "https://bob:hunter2@example.com/v1",
        "https://hunter2@example.com/v1",
        "model@https://bob:hunter2@example.com/v1",
        "https://example.com/v1?key=hunter2",
        "https://example.com/v1#hunter2",
    ],
)
def test_an_address_with_a_secret_is_refused_without_repeating_it(named: str) -> None:
    with pytest.raises(ValueError, match="LASTWORD_API_KEY") as failed:
        open_chat(named)
    assert "hunter2" not in str(failed.value)


def test_this_machine_is_asked_without_a_proxy(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.delenv("no_proxy", raising=False)
    assert AddressChat(address, timeout=5).answer([Turn("user", "null")], 0, 5) == ""


def test_a_model_is_named_before_the_address() -> None:
    assert open_chat("org/model@https://example.com/v1").name == (
        "org/model at https://example.com/v1"
    )
