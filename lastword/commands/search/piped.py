"""Queries of a pipe, one on each line, each answered as soon as it is read."""

import sys
from pathlib import Path

from embedder.files.lines import decode_line, raw_lines
from lastword.cli.error_line import error_line
from lastword.cli.options import Output
from lastword.cli.reranking import RerankOptions, load_reranking
from lastword.cli.screen import Screen, counted
from lastword.cli.streams import TRACEBACK
from lastword.commands.search.answers import (
    Answer,
    QueryOptions,
    find_answer,
    show_answer,
    tell_of_answer,
)
from lastword.commands.search.searching import open_searched

_PLACE = "standard input"


def answer_lines(path: Path, asking: QueryOptions, again: RerankOptions, output: Output) -> None:
    """Answer each line of standard input, in one line of JSON under --json.

    A line that cannot be answered is told, in JSON as {"query", "error"}, and the next one is
    read. Blank lines are no queries.

    Raises:
        ValueError: at the end, where a line was not answered or none came.
    """
    screen = Screen(output)
    blank = asked = failed = 0
    with open_searched(path, asking, screen) as engine:
        reranking = load_reranking(again, engine.encoders, asking, screen)
        for number, raw in enumerate(raw_lines(sys.stdin.buffer, Path(_PLACE)), start=1):
            if not raw.strip():
                blank += 1
                continue
            asked += 1
            try:
                query = decode_line(raw, f"{_PLACE}:{number}")
                answer = find_answer(engine, query, asking, reranking)
            except Exception as error:
                failed += 1
                _tell_failure(error, raw, output, number)
            else:
                _show(answer, asking, output)
                tell_of_answer(engine, answer, asking, screen)
            sys.stdout.flush()
    if blank:
        screen.remark(f"{counted(blank, 'blank line')} asked nothing.")
    if failed:
        raise ValueError(f"{failed} of {counted(asked, 'query')} could not be answered, see above")
    if not asked:
        raise ValueError(
            'no query came: give "a query", one on each line of standard input, or both of '
            "--queries FILE --run OUT.trec"
        )


def _show(answer: Answer, asking: QueryOptions, output: Output) -> None:
    screen = Screen(output)
    if output.json:
        screen.line(answer.facts)
        return
    screen.result(None, answer.hits.query)
    show_answer(answer, asking, None, screen)


def _tell_failure(error: Exception, raw: bytes, output: Output, number: int) -> None:
    said = error_line(error, TRACEBACK)
    if output.json:
        Screen(output).line({"query": raw.decode(errors="replace").rstrip("\r\n"), "error": said})
    place = f"{_PLACE}:{number}"
    sys.stderr.write(f"lastword: {said if said.startswith(place) else f'{place}: {said}'}\n")
    sys.stderr.flush()
