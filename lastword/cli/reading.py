"""Options of commands that read people's files, and what they say of files that were not read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from lastword.cli.parse import typed_text
from lastword.cli.screen import Screen

if TYPE_CHECKING:
    from eval.data.sources import JoinedSources
    from retrieval.sources.options import SourceOptions

SourceArguments = Annotated[
    list[str],
    Argument(
        metavar="SOURCE",
        help="Files, folders, archives, patterns such as 'notes/**/*.md', or - for standard "
        "input; a BEIR folder; or a data set by name: scifact, nanobeir/scifact, ir:ID of "
        "ir_datasets.",
    ),
]


def _option(text: str, *names: str, **settings: Any) -> Any:  # noqa: ANN401  (typer's type)
    return Option(*names, help=text, rich_help_panel="Files", **settings)


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Which files are read, and how."""

    include: Annotated[
        list[str] | None,
        _option(
            "Of folders and archives, only files that match; patterns are those of .gitignore.",
            metavar="PATTERN",
            callback=typed_text("a pattern"),
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        _option(
            "Leave out files and folders that match.",
            metavar="PATTERN",
            callback=typed_text("a pattern"),
        ),
    ] = None
    id_field: Annotated[
        str,
        _option(
            "Field or column of the id. By default _id, id, docid, ...; else numbered.",
            "--id",
            metavar="NAME",
        ),
    ] = ""
    title_field: Annotated[
        str,
        _option(
            "Field of the title. By default title, headline or subject.", "--title", metavar="NAME"
        ),
    ] = ""
    text_field: Annotated[
        str,
        _option(
            "Field of the text. By default text, contents, content, body, ....",
            "--text",
            metavar="NAME",
        ),
    ] = ""
    hidden: Annotated[bool, _option("Read hidden files and folders, too.", "--hidden")] = False
    links: Annotated[
        Literal["follow", "skip"], _option("Follow links, or count and skip them.")
    ] = "follow"
    no_ignore: Annotated[
        bool, _option("Read what .gitignore and .lastwordignore leave out.", "--no-ignore")
    ] = False
    on_error: Annotated[
        Literal["auto", "skip", "stop"],
        _option(
            "What cannot be read is skipped and counted, or stops. auto skips it in folders and "
            "archives, and stops at files that are named."
        ),
    ] = "auto"
    max_file_mb: Annotated[
        int, _option("Skip longer files and members of archives; tables may be longer.", min=1)
    ] = 100
    max_file_seconds: Annotated[
        int, _option("Skip a document that takes more time of the processor to parse.", min=1)
    ] = 60
    verbose: Annotated[
        bool, _option("Name everything that was skipped, with the reason.", "--verbose", "-v")
    ] = False

    def source_options(self, on_empty: str) -> "SourceOptions":
        """Return the options of reading."""
        from retrieval.sources.options import SourceOptions

        return SourceOptions(
            include=tuple(self.include or ()),
            exclude=tuple(self.exclude or ()),
            id_field=self.id_field,
            title_field=self.title_field,
            text_field=self.text_field,
            hidden=self.hidden,
            links=self.links,
            ignore_files=not self.no_ignore,
            on_error=self.on_error,
            keep_empty=on_empty == "keep",
            max_megabytes=self.max_file_mb,
            seconds=self.max_file_seconds,
        )


def skipped_facts(source: "JoinedSources") -> dict[str, Any]:
    """Return what was passed over, as JSON: how many of a kind, each by name, and remarks."""
    files = source.files
    if files is None:
        return {"passed_over": {}, "skipped": [], "remarks": {}}
    return {
        "passed_over": dict(files.counts),
        "skipped": [
            {"name": each.name, "reason": each.reason, "kind": each.kind} for each in files.skipped
        ],
        "remarks": dict(files.notes.counts),
    }


def tell_skipped(source: "JoinedSources", screen: Screen, verbose: bool) -> None:
    """Say what was passed over: how many of a kind, and each by name where that is asked for."""
    from retrieval.sources.items import NOTES

    files = source.files
    if files is None:
        return
    for line in files.summary():
        screen.remark(f"{line[0].upper()}{line[1:]}.")
    if verbose:
        for each in files.skipped:
            screen.remark(f"  {each.name}: {each.reason}")
        for kind, names in files.notes.names.items():
            for name in names:
                screen.remark(f"  {name}: {NOTES[kind]}")
    elif files.skipped:
        screen.remark("--verbose names each of them, with the reason.")
