"""Render conversations through a model's chat template, in a process that can be stopped."""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from embedder.inputs import template_worker

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WAIT = 60  # seconds by the clock, for a machine that has little time for the process
CACHE_SIZE = 256  # conversations; several encoders ask for the same


_LATE = f"it did not end within {template_worker.SECONDS} seconds of processor time"
_ENDED = {getattr(signal, name): _LATE for name in ("SIGPROF", "SIGKILL") if hasattr(signal, name)}


class ChatTemplateError(ValueError):
    """A chat template that refuses turns, fails, or does not end."""


def render_chat(
    tokenizer: "PreTrainedTokenizerBase", turns: Sequence[Mapping[str, str]], **options: bool
) -> str:
    """Render turns as `apply_chat_template(turns, tokenize=False, **options)` does.

    Raises:
        ChatTemplateError: the template fails, or takes too much time, memory or text. One line
            that begins with the model's place.
    """
    place = str(tokenizer.name_or_path) or "the model"
    try:
        template = tokenizer.get_chat_template()
    except Exception as error:
        raise _error(place, " ".join(str(error).split())[:300]) from error
    if not isinstance(template, str):
        raise _error(place, f"it is no text but {type(template).__name__}")
    request = {
        "conversations": [list(turns)],
        "chat_template": template,
        **{name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        **options,
    }
    text, reason = _answer(json.dumps(request))
    if text is None:
        raise _error(place, reason)
    return text


def render_turns(
    tokenizer: "PreTrainedTokenizerBase",
    turns: Sequence[tuple[str, str]],
    joint: str,
    *,
    continues: bool = False,
) -> str:
    """Render turns, (role, text) each; a model that can think aloud is asked not to.

    Args:
        tokenizer: its chat template is used.
        turns: an optional system turn, then user and assistant in turn.
        joint: stands between system turn and user turn where the template refuses a system turn
            or leaves it out, so that both are one user turn.
        continues: leave the last turn, the assistant's, open; else a user's turn is followed by
            what an answer begins with.

    Raises:
        ChatTemplateError: as of `render_chat`.
    """
    (role, text), *others = turns
    system = text.strip() if role == "system" else ""
    last, _ = turns[-1]
    options = {"continue_final_message": True} if continues else {}
    options |= {"add_generation_prompt": last == "user", "enable_thinking": False}

    def render(turns: Sequence[tuple[str, str]]) -> str:
        messages = [{"role": role, "content": content} for role, content in turns]
        return render_chat(tokenizer, messages, **options)

    if not system:
        return render(turns)
    try:
        rendered = render(turns)
    except ChatTemplateError:
        rendered = ""
    if system in rendered:
        return rendered
    (_, first), *others = others
    return render([("user", f"{system}{joint}{first}"), *others])


def prepare_rendering() -> None:
    """Start the process, so that it is ready once a conversation is to be rendered."""
    with _process.lock:
        _process.start()


def _error(place: str, reason: str) -> ChatTemplateError:
    return ChatTemplateError(
        f"{place}: the model's chat template failed: {' '.join(reason.split())}; take a plain "
        "prompt, e.g. prompteol, or write one (template = ...) for this model"
    )


@lru_cache(maxsize=CACHE_SIZE)
def _answer(line: str) -> tuple[str | None, str]:
    """Ask the process; return the text, or None and what went wrong."""
    with _process.lock:
        answer = _process.ask(line)
    if "error" in answer:
        return None, str(answer["error"])
    return str(answer["text"]), ""


class _Process:
    """The process, started when it is first needed and again after it was stopped."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._running: subprocess.Popen[bytes] | None = None
        self._owner = 0  # a child of a fork must not read its parent's answers

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, or return the one that runs."""
        if self._running is not None and self._owner == os.getpid():
            if self._running.poll() is None:
                return self._running
            self.stop()
        # The modules that this process would import, and none from the working directory.
        modules = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)  # noqa: PTH100
        self._running = subprocess.Popen(
            [sys.executable, "-P", template_worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": modules},
            start_new_session=True,  # Ctrl-C is ours
        )
        self._owner = os.getpid()
        return self._running

    def ask(self, line: str) -> dict[str, Any]:
        """Send a line and return the answer, an error where the process ended instead."""
        running = self.start()
        assert running.stdin is not None and running.stdout is not None
        timer = threading.Timer(WAIT, running.kill)
        timer.start()
        try:
            running.stdin.write(line.encode() + b"\n")
            running.stdin.flush()
            answer = running.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            timer.cancel()
        if not answer.endswith(b"\n"):
            code = running.wait()
            self.stop()
            return {"error": _ENDED.get(-code, f"the process that renders it ended with {code}")}
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    def stop(self) -> None:
        """End the process, if this one started it."""
        running, self._running = self._running, None
        if running is not None and self._owner == os.getpid():
            running.kill()
            running.wait()
            for pipe in (running.stdin, running.stdout):
                if pipe is not None:
                    pipe.close()


_process = _Process()
atexit.register(_process.stop)
