"""Options of the commands that rerank, the reranker that they name, and what it did."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from embedder.checkpoints.trust import ModelAccess
from lastword.cli.options import ModelChoice, model_option
from lastword.cli.screen import Screen, counted

if TYPE_CHECKING:
    from embedder.types import Encoder
    from retrieval.rerank.reranking import Reranking

DEPTH = 50  # as of retrieval.rerank.reranking, which help would be slow to import


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """What reads the best documents again, each together with the query."""

    rerank: Annotated[
        str,
        Option(
            metavar="HOW",
            help="Read the best documents again, each with the query: cross-encoder:NAME, of "
            "sentence-transformers; or by the language model at hand prompt or prompt:FILE.toml, "
            "which asks it for yes or no, or maxsim, which matches tokens.",
        ),
    ] = ""
    rerank_depth: Annotated[
        int, Option(min=1, help="Documents of a query that are read again; others follow them.")
    ] = DEPTH
    rerank_model: Annotated[
        str,
        model_option(
            "Language model of --rerank prompt or maxsim, where it shall not be the one that "
            "reads the documents.",
            metavar="NAME",
        ),
    ] = ""


def check_reranking(chosen: RerankOptions) -> None:
    """Check the options before any model is loaded.

    Raises:
        ValueError: they contradict each other, or there is no such reranker or prompt.
    """
    if not chosen.rerank:
        if chosen.rerank_model or chosen.rerank_depth != DEPTH:
            raise ValueError("--rerank-model and --rerank-depth go with --rerank")
        return
    if chosen.rerank_model and chosen.rerank.startswith("cross-encoder:"):
        raise ValueError("a cross-encoder is named by --rerank alone; leave out --rerank-model")
    from embedder.rerank.load import read_rerank

    read_rerank(chosen.rerank)


def load_reranking(
    chosen: RerankOptions,
    encoders: "Mapping[str, Encoder]",
    running: "ModelAccess | ModelChoice",
    screen: Screen,
) -> "Reranking | None":
    """Load what reranks; None where nothing is to.

    Args:
        chosen: the options, checked.
        encoders: by channel; the first language model among them is shared.
        running: how a model runs that is loaded here.
        screen: shows that one is loaded.

    Raises:
        ValueError: a model cannot be loaded.
    """
    if not chosen.rerank:
        return None
    from embedder.checkpoints.variant import DEFAULT_VARIANT
    from embedder.models.loading import LLMOptions
    from embedder.rerank.load import load_reranker
    from retrieval.rerank.reranking import Reranking

    options = LLMOptions(device=running.device, trust_remote_code=running.trust_remote_code)
    if isinstance(running, ModelChoice):  # whose form, as a revision, is of that model alone
        options = replace(running.llm_options(), variant=DEFAULT_VARIANT)
    with screen.waiting("Loading the reranker"):
        reranker = load_reranker(chosen.rerank, chosen.rerank_model or encoders, options)
    return Reranking(reranker, chosen.rerank_depth)


def rerank_facts(reranking: "Reranking | None") -> dict[str, Any]:
    """Return what the result of a command says of a reranker, as JSON; {} without one."""
    if reranking is None:
        return {}
    return {"rerank": {"name": reranking.name, "depth": reranking.depth, **reranking.counts}}


def tell_reranked(reranking: "Reranking | None", screen: Screen) -> None:
    """Say what a command's reranker read, and how many texts it did not read whole."""
    if reranking is not None:
        screen.remark(f"Reranked by {reranking.name}: {rerank_cost(reranking.counts)}.")


def rerank_cost(counts: Mapping[str, int]) -> str:
    """Say what was read, in words."""
    return (
        f"{counted(counts['pairs'], 'pair')} of a query and a document, "
        f"{counted(counts['tokens'], 'token')}, {counted(counts['truncated'], 'text')} cut"
    )
