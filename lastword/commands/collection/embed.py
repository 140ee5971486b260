"""The command that writes vectors to a file, for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.encoders import describe_spec, model_channels, tell_unprocessed
from lastword.cli.options import EncoderOptions, Output
from lastword.cli.screen import Screen, counted, size
from lastword.cli.sources import check_folder_of

app = Typer()

WINDOW = 1024  # texts that are sorted by length and batched together


@dataclass(frozen=True, slots=True)
class EmbedFiles:
    """What is read and what is written."""

    source: Annotated[
        Path, Option("--input", metavar="texts.jsonl", help="Lines with _id, text, perhaps title.")
    ]
    out: Annotated[Path, Option(metavar="vectors.npz", help="File to write.")]
    role: Annotated[
        Literal["query", "document"], Option(help="Which of the prompt's two wordings is used.")
    ]


@command(
    app,
    [
        "lastword embed --role document --input texts.jsonl --out vectors.npz",
        "lastword embed --model Qwen/Qwen3-0.6B --prompt promptreps --role query "
        "--input queries.jsonl --out queries.npz --channels dense",
        "lastword embed --embedder openai:text-embedding-3-small@https://api.openai.com/v1 "
        "--truncate-dim 512 --role document --input texts.jsonl --out vectors.npz",
    ],
)
def embed(files: EmbedFiles, reading: EncoderOptions, output: Output) -> None:
    """Write the vectors of texts to a NumPy file.

    It holds ids, owner (which text a row stands for), dense, sparse (data, indices, indptr,
    shape) and the encoder's fingerprint; read it with numpy.load, which needs no pickle.
    """
    import numpy as np

    from embedder.encoders.specs import known_spec
    from embedder.progress import windows
    from embedder.types import Representation, Role
    from eval.data.local import TextFolder
    from retrieval.named_texts import encode_named

    screen = Screen(output)
    if "bm25" in reading.channels:
        raise ValueError("embed writes what a model gives, dense or sparse; bm25 is counted words")
    check_folder_of(files.out)
    documents = list(TextFolder(files.source).documents())
    if not documents:
        raise ValueError(f"{files.source} holds no texts")
    texts = [document.content for document in documents]
    names = [f"{files.role} {document.id!r}" for document in documents]
    with screen.loading(reading.channels):
        encoder = next(iter(model_channels(reading).values()))
    with screen.progress("Encoding", len(texts), "texts") as advance:
        parts = [
            encode_named(encoder, texts[window], Role(files.role), names[window])
            for window in windows(len(texts), WINDOW, advance)
        ]
    rows = Representation.concatenate(parts, WINDOW)
    about = {
        "ids": np.array([document.id for document in documents]),
        "fingerprint": np.array(encoder.fingerprint),
    }
    rows.save(files.out, **about)
    screen.result({"out": str(files.out), "texts": len(texts), "bytes": files.out.stat().st_size})
    screen.remark(
        f"{files.out}: {counted(len(texts), 'text')}, {size(files.out.stat().st_size)}, "
        f"with {', '.join((*rows.to_arrays(), *about))}; "
        f"encoder: {describe_spec(known_spec(encoder))}."
    )
    if rows.dense is not None:
        tell_unprocessed(known_spec(encoder), screen)
