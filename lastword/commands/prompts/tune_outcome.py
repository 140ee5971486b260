"""What a search for prompts leaves: a prompt file, a report, and perhaps a changed index."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.encoders.adapted import QueryAdapter
from embedder.files.durable import replace_file
from embedder.files.json_file import write_json
from embedder.prompts.prompt import Prompt
from lastword.cli.recipes import LLMSpec, from_json, to_json
from lastword.commands.prompts.tune import PROMPT_FILE, REPORT
from tuning.search.pipeline import CHANGE, TuningOutcome

if TYPE_CHECKING:
    from lastword.commands.prompts.tune_setup import TuningSetup

OUTCOME = "outcome.json"


def write_outcome(
    setup: "TuningSetup", outcome: TuningOutcome, out: Path, seconds: float
) -> dict[str, Any]:
    """Write prompt, figures and report into a folder; return the figures."""
    from tuning.report import TuningFacts, page

    named = replace(
        outcome.prompt, name="tuned", source="lastword tune", description=outcome.reason
    )
    if named.adapt:  # the file goes beside the prompt, which names it without a folder
        saved, _, digest = QueryAdapter.load(named.adapt).save(out).rpartition("#")
        named = replace(named, adapt=f"{Path(saved).name}#{digest}")
    replace_file(out / PROMPT_FILE, named.to_toml().encode())
    changed = outcome.verdict == CHANGE
    path = setup.objective.index.path
    told = outcome.to_json() | {
        "changed": changed,
        "seconds": seconds,
        "rebuild": rebuild(setup, outcome.prompt),
        "prompt_file": str(out / PROMPT_FILE),
        "report": str(out / REPORT),
        "journal": str(out / "journal.jsonl"),
    }
    write_json(out / OUTCOME, told)
    facts = TuningFacts(
        outcome=outcome,
        space=setup.space,
        data=setup.objective.data,
        index=str(path),
        budget=str(setup.budget),
        seconds=seconds,
        rebuild=told["rebuild"],
        rules=setup.task.rules,
    )
    replace_file(out / REPORT, page(facts).encode())
    return told


def rebuild(setup: "TuningSetup", prompt: Prompt) -> str:
    """Say what of the index must be made again for a prompt."""
    if prompt == setup.space.default:
        return "nothing: the default stays"
    default, form = setup.space.default.forms[0].document, prompt.forms[0].document
    if form != default or prompt.reading != setup.space.default.reading:
        return "all documents: they would be other vectors; run lastword index with the new prompt"
    return "nothing: only queries are read differently"


def apply(path: Path, setup: "TuningSetup", prompt: Prompt, free: bool) -> None:
    """Make a prompt the query prompt of an index, in one commit.

    Raises:
        ValueError: the index does not allow it, or its documents would have to be read again.
    """
    from index.writer import IndexWriter

    told = rebuild(setup, prompt)
    if not told.startswith("nothing"):
        raise ValueError(f"the prompt cannot be written into {path}; it needs a new index: {told}")
    if prompt.adapt:  # the index keeps its own copy
        prompt = replace(prompt, adapt=QueryAdapter.load(prompt.adapt).save(path))
    encoder = setup.objective.encoder(prompt)
    with IndexWriter(path) as writer:
        if free:
            writer.free_query_prompt()
        for name, spec in writer.manifest.channels.items():
            recipe = from_json(spec.recipe, name)
            if isinstance(recipe, LLMSpec):
                if not (spec.query_prompt_free or free):
                    raise ValueError(
                        f"{path} was made without --free-query-prompt, so its query prompt stays; "
                        "give --free-query-prompt beside --apply to allow it from now on"
                    )
                worded = replace(recipe, prompt=prompt.to_toml())
                writer.read_queries_by(name, encoder.fingerprint, to_json(worded))
        if prompt.fusion != setup.space.default.fusion:
            writer.fuse_by(prompt.fusion)
        writer.commit()
