"""The command that writes vectors to a file, for other programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option, Typer

from lastword.cli.encoders import model_channels
from lastword.cli.options import EncoderOptions, Output, command
from lastword.cli.recipes import describe_spec
from lastword.cli.screen import Screen, counted, size
from lastword.cli.sources import check_folder_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from embedder.types import Representation

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
    ],
)
def embed(files: EmbedFiles, reading: EncoderOptions, output: Output) -> None:
    """Write the vectors of texts to a NumPy file.

    It holds ids, owner (which text a row stands for), dense, sparse (data, indices, indptr,
    shape) and the encoder's fingerprint; read it with numpy.load, which needs no pickle.
    """
    import numpy as np

    from embedder.progress import added, watching
    from embedder.types import Role
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
        encoder, recipe = next(iter(model_channels(reading).values()))
    with screen.progress("Encoding", len(texts), "texts") as advance:
        parts = []
        for start in range(0, len(texts), WINDOW):
            some = slice(start, start + WINDOW)
            with watching(partial(added, advance, start), len(texts[some])):
                parts.append(encode_named(encoder, texts[some], Role(files.role), names[some]))
            advance(min(start + WINDOW, len(texts)))
    arrays = _arrays(parts) | {
        "ids": np.array([document.id for document in documents]),
        "fingerprint": np.array(encoder.fingerprint),
    }
    _write_whole(files.out, arrays)
    screen.result({"out": str(files.out), "texts": len(texts), "bytes": files.out.stat().st_size})
    screen.remark(
        f"{files.out}: {counted(len(texts), 'text')}, {size(files.out.stat().st_size)}, "
        f"with {', '.join(arrays)}; read by {describe_spec(recipe)}."
    )


def _arrays(parts: "Sequence[Representation]") -> "dict[str, NDArray[Any]]":
    """Put the windows one under another; `owner` then counts from the first text of all."""
    import numpy as np
    from scipy.sparse import vstack

    starts = range(0, WINDOW * len(parts), WINDOW)
    owner = np.concatenate([part.owner + at for part, at in zip(parts, starts, strict=True)])
    arrays: dict[str, NDArray[Any]] = {"owner": owner}
    dense = [part.dense for part in parts if part.dense is not None]
    if dense:
        arrays["dense"] = np.concatenate(dense)
    sparse = [part.sparse for part in parts if part.sparse is not None]
    if sparse:
        rows = vstack(sparse, format="csr")
        arrays |= {"sparse_data": rows.data, "sparse_indices": rows.indices}
        arrays |= {"sparse_indptr": rows.indptr, "sparse_shape": np.array(rows.shape)}
    return arrays


def _write_whole(path: Path, arrays: "Mapping[str, NDArray[Any]]") -> None:
    """Replace the file in one step, so that nobody ever reads half of it."""
    import numpy as np

    from embedder.files.durable import replacing

    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
