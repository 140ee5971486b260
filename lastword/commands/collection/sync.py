"""The command that keeps an index in step with files."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.options import DeviceOptions, IndexPath, Output
from lastword.cli.parse import typed_text
from lastword.cli.reading import FileOptions
from lastword.cli.screen import Screen, counted, duration, one_line, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from embedder.types import Encoder
    from retrieval.sources.ledger import KnownSource
    from retrieval.sync.options import SyncOptions
    from retrieval.sync.report import SyncReport

app = Typer()

_SHOWN = 5  # documents of a kind, unless --verbose


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What a sync may do, and how often."""

    dry_run: Annotated[
        bool, Option("--dry-run", help="Show what would be done, and change nothing.")
    ] = False
    allow_empty: Annotated[
        bool,
        Option(
            "--allow-empty",
            help="Remove the documents of a source that is not there or is empty, which is "
            "refused otherwise: a disk may not be mounted.",
        ),
    ] = False
    forget: Annotated[
        list[str] | None,
        Option(
            metavar="SOURCE",
            help="Follow a source no longer; its documents stay. Other sources are looked at "
            "only where they are named.",
            callback=typed_text("a source"),
        ),
    ] = None
    remove: Annotated[
        bool, Option("--remove", help="Of --forget: the documents of the source go, too.")
    ] = False
    on_empty: Annotated[
        Literal["skip", "keep"],
        Option(help="Of sources that are given: documents without text are left out or kept."),
    ] = "skip"
    watch: Annotated[
        bool,
        Option("--watch", help="Go on until Ctrl-C; edits that come together are one commit."),
    ] = False
    interval: Annotated[
        float, Option(help="Of --watch: seconds between two looks at the files.", min=0.1)
    ] = 2.0


@command(
    app,
    [
        "lastword sync my.index",
        "lastword sync my.index notes/ 'papers/*.pdf' --exclude drafts/",
        "lastword sync my.index --dry-run --json",
        "lastword sync my.index --watch",
        "lastword sync my.index --forget drafts/ --remove",
    ],
)
def sync(
    path: IndexPath,
    step: StepOptions,
    files: FileOptions,
    running: DeviceOptions,
    output: Output,
    sources: Annotated[
        list[str] | None,
        Argument(
            metavar="SOURCE",
            help="Files, folders and patterns; by default those that the index remembers.",
        ),
    ] = None,
) -> None:
    """Bring an index in step with files: what is new, changed, moved or gone.

    Only texts that have changed are encoded. The sources are remembered, as are those of
    `lastword index`, so that they need not be named again. Documents that came another way stay.
    All is one commit, and an interrupted run goes on when the same command is given again.
    """
    from lastword.syncing import name_sources
    from retrieval.sync.options import SyncOptions

    _check_options(sources, step, files)
    screen = Screen(output)
    known = name_sources(sources or (), files.source_options(step.on_empty))
    on_error = None if files.on_error == "auto" else files.on_error
    forget = tuple(step.forget or ())
    options = SyncOptions(step.allow_empty, step.dry_run, on_error, forget, step.remove)
    work = _Work(path, known, options, running, screen)
    if step.watch:
        _watch(work, step.interval, files.verbose)
    else:
        work.show(work.run(), files.verbose)


def _check_options(sources: list[str] | None, step: StepOptions, files: FileOptions) -> None:
    if step.watch and step.dry_run:
        raise ValueError("--dry-run shows what would be done now; leave --watch out")
    if step.watch and step.forget:
        raise ValueError("--forget is done once; leave --watch out")
    if step.remove and not step.forget:
        raise ValueError("--remove is for sources that are forgotten; name them by --forget")
    plain = FileOptions(verbose=files.verbose, on_error=files.on_error)
    if not sources and (files != plain or step.on_empty != "skip"):
        raise ValueError(
            "options of files are for sources that are named; name the source that they are for"
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """A sync that can be run again and again."""

    path: Path
    known: "Sequence[KnownSource]"
    options: "SyncOptions"
    running: DeviceOptions
    screen: Screen

    def run(self) -> "SyncReport":
        from retrieval.sync.synchronise import sync_index

        with self.screen.progress("Encoding", None, "documents") as advance:
            return sync_index(self.path, self.known, self._load, self.options, advance)

    def _load(self) -> "Mapping[str, Encoder]":
        from index.folder import Index
        from retrieval.open import load_encoders

        with Index.open(self.path) as index:
            return load_encoders(index, access=self.running)

    def show(self, report: "SyncReport", verbose: bool) -> None:
        """Show what was done, or would be."""
        from retrieval.sources.items import SKIPPED

        facts = {"index": str(self.path), **_facts(report)}
        self.screen.result(facts, *_forgotten(report, self.options), *_pieces(report, verbose))
        for kind, count in report.passed_over.items():
            one, several, rest = next(SKIPPED[each] for each in SKIPPED if each == kind)
            self.screen.remark(f"Skipped {count:,} {one if count == 1 else several} {rest}.")
        for name, reason in report.failed if verbose else report.failed[:_SHOWN]:
            self.screen.remark(f"Could not be read: {name}: {reason.rstrip('.')}.")
        if len(report.failed) > _SHOWN and not verbose:
            self.screen.remark(f"{len(report.failed) - _SHOWN:,} more: --verbose names them all.")
        for channel, counts in report.counts.items():
            if cut := counts.get("truncated", 0):
                self.screen.remark(
                    f"{channel}: {counted(cut, 'text')} longer than the model reads were cut."
                )


def _facts(report: "SyncReport") -> dict[str, Any]:
    facts = asdict(report)
    facts["moved"] = [{"from": old, "to": new} for old, new in report.moved]
    facts["forgotten"] = [{"source": name, "documents": of} for name, of in report.forgotten]
    facts["failed"] = [{"name": name, "reason": reason} for name, reason in report.failed]
    return facts


def _forgotten(report: "SyncReport", options: "SyncOptions") -> "list[RenderableType]":
    began = "Would forget" if report.dry_run else "Forgot"
    end = "go" if options.remove else "stay"
    return [
        f"{began} {one_line(source)}; documents of it, which {end}: {documents:,}."
        for source, documents in report.forgotten
    ]


def _pieces(report: "SyncReport", verbose: bool) -> "list[RenderableType]":
    kinds: Mapping[str, Sequence[str]] = {
        "new": report.new,
        "changed": report.changed,
        "moved": [f"{old} -> {new}" for old, new in report.moved],
        "removed": report.removed,
    }
    shown = None if verbose else _SHOWN
    rows = [
        (kind, f"{len(names):,}", ", ".join([*map(one_line, names[:shown]), *_rest(names, shown)]))
        for kind, names in kinds.items()
        if names
    ]
    would = "would be " if report.dry_run else ""
    if not rows and report.forgotten:
        return []
    if not rows:
        return [f"In step: {counted(report.unchanged, 'document')} unchanged."]
    done = f"{counted(report.unchanged, 'document')} unchanged"
    if not report.dry_run:
        done += f"; {counted(report.encoded, 'text')} encoded in {duration(report.seconds)}"
        done += f", {report.reused:,} of them before an interruption" if report.reused else ""
    return [table(f"{would}done" if would else "done", ">documents", "which", rows=rows), done]


def _rest(names: Sequence[str], shown: int | None) -> list[str]:
    return ["…"] if shown is not None and len(names) > shown else []


def _watch(work: _Work, interval: float, verbose: bool) -> None:
    """Sync whenever files have changed, until Ctrl-C."""
    from retrieval.sync.watching import look_at, wait_for_change

    def look() -> str:
        return look_at(work.path, work.known)

    try:
        seen = look()
        again = _attempt(work, verbose, first=True)
        work.screen.remark(f"Watching; a look every {interval:g} s, Ctrl-C ends.")
        while True:
            seen = wait_for_change(look, "" if again else seen, interval)
            again = _attempt(work, verbose, first=False)
    except KeyboardInterrupt:
        work.screen.remark("Stopped; the index is at its last commit.")


def _attempt(work: _Work, verbose: bool, first: bool) -> bool:
    """Sync once; return whether that is to be tried again though nothing changes."""
    try:
        report = work.run()
    except BlockingIOError as error:
        work.screen.remark(f"{error}; trying again.")
        return True
    except (ValueError, OSError) as error:
        if first:
            raise
        work.screen.result({"error": str(error)}, f"Not in step: {error}")
    else:
        if first or report.differs or report.failed:
            work.show(report, verbose)
    sys.stdout.flush()
    return False
