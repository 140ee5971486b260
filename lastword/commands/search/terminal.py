"""A prompt in the terminal: queries are answered by a warm engine, and :words do the rest."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.checkpoints.trust import state_folder
from lastword.cli.error_line import error_line
from lastword.cli.filters import tell_filter
from lastword.cli.options import Output
from lastword.cli.parse import choose_names
from lastword.cli.reranking import RerankOptions, load_reranking
from lastword.cli.screen import Screen, counted
from lastword.cli.streams import TRACEBACK
from lastword.cli.tables import visible
from lastword.cli.whole import document_facts, show_pages, whole_document
from lastword.commands.search.answers import (
    QueryOptions,
    find_answer,
    show_answer,
    tell_of_answer,
)
from lastword.commands.search.explain import show_explanation
from lastword.commands.search.history import line_reader
from lastword.commands.search.searching import open_searched

if TYPE_CHECKING:
    from lastword.engine import SearchEngine
    from lastword.hits import Hit
    from retrieval.rerank.reranking import Reranking

PROMPT = "search> "
MOST_SHOWN = 10**6  # documents
HELP = """\
Type a query and Enter. What begins with : is done instead:
  :explain 2             which words, in which channel, brought hit 2 its score
  :open 2                hit 2 as a whole, in the pager where it is long
  :k 20                  show 20 documents
  :channels dense,bm25   search these channels only; :channels alone searches all
  :filter year >= 2020   only documents whose metadata meet this; :filter alone takes all
  :help                  these lines
  :quit                  leave, as Ctrl-D does; Ctrl-C drops a line, or stops what it began
A query that begins with : is typed after a space."""


class SearchPrompt:
    """What a line at the prompt does.

    Args:
        engine: open; of all channels that may be chosen.
        asking: how queries are searched at first.
        reranking: what reads the best documents again, or None.
        output: where answers go.
    """

    def __init__(
        self,
        engine: "SearchEngine",
        asking: QueryOptions,
        reranking: "Reranking | None",
        output: Output,
    ) -> None:
        self._opened = self._engine = engine
        self._asking, self._reranking = asking, reranking
        self._output, self._query = output, ""
        self._hits: list[Hit] = []
        self._commands: Mapping[str, Callable[[str], None]] = {
            "explain": self._explain,
            "open": self._open,
            "k": self._set_k,
            "channels": self._set_channels,
            "filter": self._set_filter,
            "help": lambda rest: show_pages(HELP),
        }

    def take(self, line: str) -> bool:
        """Do what a line says; tell whether there shall be another.

        Raises:
            ValueError: it cannot be done; nothing has changed.
        """
        text = line.strip()
        if not line.startswith(":"):
            if text:
                self._ask(text, self._engine, self._asking)
            return True
        name, _, rest = text[1:].partition(" ")
        if name in ("quit", "q"):
            return False
        if name not in self._commands:
            raise ValueError(f"there is no :{name}; :help lists what there is")
        self._commands[name](rest.strip())
        return True

    def _ask(self, query: str, engine: "SearchEngine", asking: QueryOptions) -> None:
        """Search, and keep what was searched, and how, once that has worked."""
        screen = Screen(self._output)
        if query:
            engine.retriever.unexpanded.clear()  # of the queries before
            answer = find_answer(engine, query, asking, self._reranking)
            if self._output.json:
                screen.line(answer.facts)
            else:
                show_answer(answer, asking, self._reranking, screen)
            tell_of_answer(engine, answer, asking, screen)
            self._hits = list(answer.hits)
        self._query, self._engine, self._asking = query, engine, asking

    def _explain(self, rest: str) -> None:
        from retrieval.rerank.reranking import explain_reranked

        hit, asking = self._hit(rest, ":explain"), self._asking
        retriever = self._engine.retriever.with_feedback(asking.feedback)
        retriever = retriever.with_filter(asking.filter)
        explanation = explain_reranked(retriever, self._query, hit.id, self._reranking)
        show_explanation(explanation, retriever, asking, Screen(self._output))

    def _open(self, rest: str) -> None:
        document = self._hit(rest, ":open").document
        if self._output.json:
            Screen(self._output).line(document_facts(document))
        else:
            show_pages(whole_document(document))

    def _hit(self, rest: str, command: str) -> "Hit":
        if not self._hits:
            raise ValueError(f"{command} takes the number of a hit, and nothing is found yet")
        places = {str(hit.rank): hit for hit in self._hits}
        if rest not in places:
            raise ValueError(
                f"{command} takes the number of a hit, 1 to {len(places)}; "
                f"got {repr(rest[:40]) if rest else 'none'}"
            )
        return places[rest]

    def _set_k(self, rest: str) -> None:
        short = rest.isascii() and rest.isdecimal() and len(rest) <= 7
        if not short or not 0 < int(rest) <= MOST_SHOWN:
            raise ValueError(
                f":k takes a number of documents, 1 to {MOST_SHOWN:,}; "
                f"got {repr(rest[:40]) if rest else 'none'}"
            )
        self._ask(self._query, self._engine, replace(self._asking, k=int(rest)))
        Screen(self._output).remark(f"{counted(int(rest), 'document')} for each query.")

    def _set_channels(self, rest: str) -> None:
        own = self._opened.channels
        names = choose_names(":channels", rest, own, own)
        everything = set(names) == set(own)
        engine = self._opened
        if not everything:
            engine = engine.with_channels(names, self._asking.fusion)
        self._ask(self._query, engine, self._asking)
        Screen(self._output).remark(f"Searched: {', '.join(engine.channels)}.")

    def _set_filter(self, rest: str) -> None:
        from index.filters.kept import KeptDocuments

        kept = KeptDocuments.of(self._engine.retriever.index, rest or None)
        tell_filter(kept, Screen(self._output))
        self._ask(self._query, self._engine, replace(self._asking, filter=rest))


def ask_at_terminal(path: Path, asking: QueryOptions, again: RerankOptions, output: Output) -> None:
    """Answer what is typed until Ctrl-D or :quit; a mistake is one line, and the next is asked."""
    screen = Screen(output)
    with open_searched(path, asking, screen) as engine:
        reranking = load_reranking(again, engine.encoders, asking, screen)
        prompt = SearchPrompt(engine, asking, reranking, output)
        screen.remark(
            f"{path}: {counted(len(engine), 'document')} by {', '.join(engine.channels)}. Type a "
            "query; :help lists what else there is, Ctrl-D leaves."
        )
        read_line = line_reader(state_folder() / "history")
        asked = True
        while asked:
            try:
                asked = prompt.take(read_line(PROMPT))
            except EOFError:
                asked = False
                sys.stdout.write("\n")
            except KeyboardInterrupt:
                sys.stdout.write("\n")
            except BrokenPipeError:
                raise
            except Exception as error:
                with suppress(OSError):
                    sys.stderr.write(f"{visible(error_line(error, TRACEBACK))}\n")
