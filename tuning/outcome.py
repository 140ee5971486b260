"""What a search for prompts leaves: a prompt file, a report, and perhaps a changed index."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedder.encoders.specs import NO_SPEC, LLMSpec, RemoteSpec, SbertSpec, from_json, to_json
from embedder.files.durable import replace_file
from embedder.files.json_file import write_json
from embedder.prompts.files import format_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import QueryAdapter
from index.folder import Index
from index.manifest import ChannelSpec
from index.writer import IndexWriter
from retrieval.post_processing import change_held_rows
from retrieval.pseudo_queries import read_query_fit
from tuning.first_prompts import BOTH, DOCUMENT, QUERY, read_kinds
from tuning.report import TuningFacts, page
from tuning.search.result import CHANGE, TuningOutcome
from tuning.setup import TuningSetup

PROMPT_FILE, REPORT, OUTCOME = "tuned.toml", "report.html", "outcome.json"
JOURNAL = "journal.jsonl"
HELD_ROWS = (
    "the dense rows, of those that are held: no document is read again; the same lastword tune "
    "command with --apply changes them"
)


def write_outcome(
    setup: TuningSetup, outcome: TuningOutcome, folder: Path, seconds: float
) -> dict[str, Any]:
    """Write prompt, figures and report into a folder; return the figures."""
    named = named_prompt(outcome)
    if named.adapt:  # the file goes beside the prompt, which names it without a folder
        saved, _, digest = QueryAdapter.load(named.adapt).save(folder).rpartition("#")
        named = replace(named, adapt=f"{Path(saved).name}#{digest}")
    replace_file(folder / PROMPT_FILE, format_prompt(named).encode())
    figures = outcome.to_json() | {
        "changed": outcome.verdict == CHANGE,
        "seconds": seconds,
        "rebuild": describe_rebuild(setup, outcome.prompt),
        "prompt_file": str(folder / PROMPT_FILE),
        "report": str(folder / REPORT),
        "journal": str(folder / JOURNAL),
    }
    if setup.task.signal is not None:
        figures["signal"] = setup.task.signal.to_json()
    write_json(folder / OUTCOME, figures)
    facts = TuningFacts(setup, outcome, seconds, figures["rebuild"])
    replace_file(folder / REPORT, page(facts).encode())
    return figures


def named_prompt(outcome: TuningOutcome) -> Prompt:
    """Return the prompt under a name of its own, saying where it comes from."""
    return replace(outcome.prompt, name="tuned", source="lastword tune", description=outcome.reason)


def unmeasured_text(setup: TuningSetup) -> str:
    """Say which channels of the index a prompt was not measured on; "" where on all of them."""
    measured = setup.objective.channels
    others = [name for name in setup.objective.index.channels if name not in measured]
    if not others:
        return ""
    return (
        f"Measured on {', '.join(measured)} alone: what the prompt does to {', '.join(others)} "
        "and to searches that fuse them is not known; leave out --channels to measure it"
    )


def describe_rebuild(setup: TuningSetup, prompt: Prompt) -> str:
    """Say what of the index must be made again for a prompt."""
    if prompt == setup.space.default:
        return "nothing: the default stays"
    default, form = setup.space.default.forms[0].document, prompt.forms[0].document
    if form != default or prompt.reading != setup.space.default.reading:
        return "all documents: they would be other vectors; run lastword index with the new prompt"
    if prompt.post != setup.space.default.post:
        return HELD_ROWS
    return "nothing: only queries are read differently"


def check_query_prompt_free(path: Path, channels: Mapping[str, ChannelSpec]) -> None:
    """Refuse to change the query prompt of an index that was made to keep it.

    Raises:
        ValueError: a channel's queries are worded, and the index does not allow other words.
    """
    for name, spec in channels.items():
        stored = from_json(spec.recipe, name) if spec.recipe != NO_SPEC else None
        if isinstance(stored, LLMSpec | SbertSpec | RemoteSpec) and not spec.query_prompt_free:
            raise ValueError(
                f"{path} was made without --free-query-prompt, so its query prompt stays; "
                "give --free-query-prompt beside --apply to allow it from now on"
            )


def check_applicable(index: Index, tune: str, free: bool) -> None:
    """Refuse before any work what would be refused at the end of it.

    Args:
        index: opened.
        tune: what is tuned, as in `TuningOptions`.
        free: whether the index is allowed another query prompt.

    Raises:
        ValueError: what is tuned needs other documents, or the index keeps its query prompt.
    """
    kinds = set(read_kinds(tune))
    if QUERY in kinds and not free:
        check_query_prompt_free(index.path, index.channels)
    if {DOCUMENT, BOTH} & kinds:
        raise ValueError(
            "--apply writes a query prompt into the index, and --tune document or both needs a "
            "new one: leave out --apply"
        )


def apply_prompt(path: Path, setup: TuningSetup, prompt: Prompt, free: bool) -> None:
    """Make a prompt the query prompt of an index, in one commit.

    Raises:
        ValueError: the index does not allow it, was changed meanwhile, or its documents would have
            to be read again.
    """
    rebuild = describe_rebuild(setup, prompt)
    changes_rows = rebuild == HELD_ROWS
    if not (changes_rows or rebuild.startswith("nothing")):
        raise ValueError(
            f"the prompt cannot be written into {path}; it needs a new index: {rebuild}"
        )
    if prompt.adapt:  # the index keeps its own copy
        prompt = replace(prompt, adapt=QueryAdapter.load(prompt.adapt).save(path))
    encoder = setup.objective.encoder(prompt)
    model = setup.encoder.spec and setup.encoder.spec.model
    with IndexWriter(path) as writer:
        _check_read_alike(writer.manifest.channels, setup)
        writer.free_query_prompt()  # until each channel says whether it is
        for name, spec in writer.manifest.channels.items():
            allowed = free or spec.query_prompt_free
            stored = from_json(spec.recipe, name) if spec.recipe != NO_SPEC else None
            if isinstance(stored, LLMSpec | SbertSpec | RemoteSpec) and (
                name in setup.objective.tuned or model in (None, stored.model)
            ):
                alike = changes_rows and spec.words_queries_as(encoder.fingerprint)
                if not (allowed or alike or encoder.fingerprint == spec.fingerprint):
                    check_query_prompt_free(path, {name: spec})
                fusion = stored.prompt.fusion if stored.prompt else ""  # a change of it is apart
                recipe = to_json(replace(stored, prompt=replace(prompt, fusion=fusion)))
                post = spec.post if changes_rows else read_query_fit(spec, encoder)
                spec = replace(spec, fingerprint=encoder.fingerprint, recipe=recipe, post=post)
            writer.read_queries_by(replace(spec, query_prompt_free=allowed))
        if prompt.fusion != setup.space.default.fusion:
            writer.fuse_by(prompt.fusion)
        if changes_rows and setup.objective.dense:
            change_held_rows(writer, setup.objective.dense, encoder)
        writer.commit()
        if changes_rows:
            writer.compact()


def _check_read_alike(channels: Mapping[str, ChannelSpec], setup: TuningSetup) -> None:
    """Refuse channels that are read otherwise than when they were tuned, by another model perhaps.

    Documents may have come and gone.
    """
    index = setup.objective.index
    for name in setup.objective.tuned:
        if name not in channels or channels[name].fingerprint != index.channels[name].fingerprint:
            raise ValueError(
                f"channel {name} of {index.path} is read otherwise now than when it was tuned, so "
                "nothing was applied; tune it as it is into another folder, --out"
            )
