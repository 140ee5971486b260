"""The command that finds hard negatives for training pairs: train mine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.encoders import make_encoders
from lastword.cli.options import EncoderOptions, Output
from lastword.cli.screen import Screen, table
from lastword.cli.sources import check_folder_of, look_through, tell_rebuilt

app = Typer()


@dataclass(frozen=True, slots=True)
class MineOptions:
    """Which candidates become negatives, and where the pairs go."""

    out: Annotated[
        Path, Option("--out", "-o", metavar="PAIRS.jsonl", help="Pairs, for `train contrast`.")
    ]
    index: Annotated[
        Path | None,
        Option(metavar="INDEX", help="Made if it is not there; by default OUT.index."),
    ] = None
    split: Annotated[str, Option(help="Which judgements.")] = "train"
    negatives: Annotated[int, Option(min=1, help="For each pair.")] = 7
    depth: Annotated[int, Option(min=1, help="Best documents of each channel to draw from.")] = 50
    skip: Annotated[int, Option(min=0, help="Of these, the best to pass over.")] = 0
    share: Annotated[
        float,
        Option(help="Drop what is nearer the query than this share of its positive's cosine."),
    ] = 0.95
    seed: Annotated[int, Option(min=0, help="Of the draw.")] = 0


@command(
    app,
    [
        "lastword train mine path/to/scifact --out pairs.jsonl",
        "lastword train mine path/to/scifact --out pairs.jsonl --channels dense,bm25 --share 0.9",
        "lastword train mine fiqa --model Qwen/Qwen3-0.6B --negatives 15 --out pairs.jsonl",
    ],
)
def mine(
    dataset: Annotated[
        str, Argument(metavar="DATASET", help="A BEIR folder, a BEIR name, or ir:ID.")
    ],
    mined: MineOptions,
    reading: EncoderOptions,
    output: Output,
) -> None:
    """Find hard negatives for the judged pairs of a collection, by every channel.

    What is judged relevant, has the positive's text, or is suspiciously near the query is dropped
    and counted.
    """
    from embedder.files.durable import replace_file
    from eval.data.collections import open_collection
    from eval.runs.collection_index import open_or_build
    from eval.synthesis.mining import Mining, MiningOptions
    from eval.tasks.retrieval import JudgeOptions

    screen = Screen(output)
    options = MiningOptions(mined.negatives, mined.depth, mined.skip, mined.share, mined.seed)
    collection = open_collection(dataset, mined.split)
    pairs = sum(grade > 0 for grades in collection.qrels().values() for grade in grades.values())
    check_folder_of(mined.out)
    collection.queries()  # what is broken must not be found after hours of encoding
    survey = look_through(collection, screen, judged=collection.qrels())
    with screen.loading(reading.channels):
        encoders = make_encoders(reading, (document.content for document in collection.documents()))
    if "dense" not in encoders:
        raise ValueError("negatives are filtered by cosine: --channels must have dense")
    place = mined.index or mined.out.with_name(f"{mined.out.name}.index")
    build, documents = JudgeOptions().build, collection.documents
    with screen.progress(f"Indexing {collection.name}", survey.documents, "documents") as advance:
        indexed = open_or_build(documents, encoders, place, build, advance)
    survey.tell(screen)
    tell_rebuilt(collection.name, indexed.state, screen)
    with indexed.index as index, screen.progress("Mining", pairs, "pairs") as advance:
        mining, lines = Mining(collection, index, encoders, options), []
        for pair in mining.pairs():
            lines.append(json.dumps(pair, ensure_ascii=False) + "\n")
            advance(len(lines))
    replace_file(mined.out, "".join(lines).encode())
    facts = dict(sorted(mining.counts.items()))
    rows = [[name, f"{count:,}"] for name, count in facts.items()]
    screen.result(facts | {"out": str(mined.out)}, table("what", ">number", rows=rows))
    screen.remark(
        f"Train with them: pairs = [{json.dumps(str(mined.out), ensure_ascii=False)}] in a file "
        "for `train contrast`."
    )
