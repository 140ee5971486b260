"""Groups of options that several commands share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from embedder.checkpoints.bundled import BUNDLED_NAME
from embedder.checkpoints.trust import ModelAccess
from embedder.checkpoints.variant import Backend, Quantisation
from index.storage.layout import DenseDtype

if TYPE_CHECKING:
    from embedder.models.loading import LLMOptions

AUTO = "auto"
"""Fusion that the prompt was measured with, where it weighs just the channels at hand."""

WORDS_PANEL = "Words and search engines"

FUSION_HELP = (
    'minmax, rrf, zscore, dbsf or promptreps; with weights: "minmax:dense=0.7,bm25=0.3". auto '
    "takes what the prompt was measured with, else minmax."
)

IndexPath = Annotated[Path, Argument(metavar="INDEX", help="Folder of an index.")]

QueriesFile = Annotated[
    Path | None,
    Option(
        help="Queries: a .jsonl (_id, text) or .tsv (id, tab, text) file, or the judged ones of a "
        "data set by name, e.g. ir:ID."
    ),
]

DevsetStyle = Annotated[
    Literal["title", "cloze", "chat", "auto"],
    Option(
        help="Of queries that are made: titles; the content words of a sentence (cloze); what "
        "--writer writes (chat); or the first of them that gives enough."
    ),
]

Pieces = Annotated[
    bool,
    Option("--pieces", help="Instead of words: the pieces that the model knows, with their marks."),
]

DenseDtypeOption = Annotated[
    DenseDtype,
    Option(
        metavar="DTYPE",
        help="Numbers of dense rows: float32, float16 (rounded, half the size), or int8 (exact "
        "too; searches read a quarter, the disk holds 1.25 times; Flat only).",
    ),
]

_DEVICE = "auto, cpu, cuda, cuda:1, ..."


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command speaks: results on stdout, everything else on stderr."""

    json: Annotated[
        bool, Option("--json", help="Write the result as JSON; stdout holds nothing else.")
    ] = False
    quiet: Annotated[
        bool, Option("--quiet", "-q", help="No progress bars and no remarks; results only.")
    ] = False


def model_option(text: str, *names: str, **settings: Any) -> Any:  # noqa: ANN401  (typer's type)
    """Describe an option of the model, which help lists apart."""
    return Option(*names, help=text, rich_help_panel="Model options", **settings)


_TRUST = model_option(
    "Run Python code that comes with the model. Only if you trust its source.",
    "--trust-remote-code",
)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A language model and how it runs."""

    model: Annotated[
        str,
        model_option(
            "Language model: a Hugging Face name, a folder or a GGUF file. "
            f'"{BUNDLED_NAME}" is the small one that comes with lastword, "smollm2" one of a '
            "package."
        ),
    ] = BUNDLED_NAME
    max_text_tokens: Annotated[
        int,
        model_option(
            "Tokens of a text that the model reads; what is longer is cut and counted.", min=1
        ),
    ] = 512
    dtype: Annotated[str, model_option("auto, float32, bfloat16 or float16.")] = "auto"
    device: Annotated[str, model_option(_DEVICE)] = "auto"
    trust_remote_code: Annotated[bool, _TRUST] = False

    def llm_options(self) -> "LLMOptions":
        """Return how the model is loaded and run."""
        from embedder.models.loading import LLMOptions

        return LLMOptions(
            max_text_tokens=self.max_text_tokens,
            dtype=self.dtype,
            device=self.device,
            trust_remote_code=self.trust_remote_code,
        )


@dataclass(frozen=True, slots=True)
class EncoderOptions(ModelChoice):
    """Which model reads texts, with which prompt, into which channels."""

    embedder: Annotated[
        str,
        model_option(
            "Instead of a language model: sbert:NAME, any sentence-transformers model; or a "
            "server's: tei:URL (Hugging Face's server of embeddings) or openai:MODEL@URL.",
            metavar="NAME",
        ),
    ] = ""
    prompt: Annotated[
        str,
        model_option(
            "A name from `lastword prompts list`, or a .toml file. "
            "By default the model's own, else promptreps."
        ),
    ] = ""
    task: Annotated[
        str,
        model_option(
            "What embeddings are for, in a sentence; stands for {task} in the wording of "
            "instruction embedders such as e5-mistral and qwen3-embedding.",
            metavar="TEXT",
        ),
    ] = ""
    prompt_name: Annotated[
        str,
        model_option(
            "Of an --embedder that carries prompts (sbert:, tei:, openai:): one by its name, or "
            "QUERY,DOCUMENT. By default those that the model names for queries and documents.",
            metavar="NAME",
        ),
    ] = ""
    truncate_dim: Annotated[
        int,
        model_option(
            "Of an --embedder: keep so many leading dimensions of a dense row, which a model "
            "must be trained for; 0 keeps all.",
            min=0,
        ),
    ] = 0
    revision: Annotated[
        str, model_option("Branch, tag or commit of a model on the Hugging Face hub.")
    ] = ""
    backend: Annotated[
        Backend,
        model_option("What computes an sbert: model; onnx and openvino need optimum."),
    ] = "torch"
    quantize: Annotated[
        Quantisation,
        model_option("Round weights while they are loaded, by bitsandbytes: 8bit or 4bit."),
    ] = "none"
    batch_tokens: Annotated[
        int,
        model_option(
            "Tokens that go through the model together, padding included; 0 chooses by device.",
            min=0,
        ),
    ] = 0
    channels: Annotated[
        str,
        model_option("Some of dense,sparse,bm25. By default all that the model has, and bm25."),
    ] = ""
    language: Annotated[
        str,
        Option(
            help="Stemming and stop words of bm25: a language or its ISO code (de); several "
            '(de,en), of which each document is in one; or "none".',
            rich_help_panel=WORDS_PANEL,
        ),
    ] = "english"

    def llm_options(self) -> "LLMOptions":
        """Return how the model is loaded and run, and in which form."""
        from embedder.checkpoints.variant import ModelVariant

        names = tuple(name.strip() for name in self.prompt_name.split(",") if self.prompt_name)
        variant = ModelVariant(
            revision=self.revision,
            quantize=self.quantize,
            backend=self.backend,
            truncate_dim=self.truncate_dim,
            prompt_names=names,
        )
        plain = ModelChoice.llm_options(self)
        return replace(plain, token_budget=self.batch_tokens, variant=variant)


@dataclass(frozen=True, slots=True)
class DeviceOptions(ModelAccess):
    """Where the models of an index run when it is searched or added to."""

    model: Annotated[
        str,
        model_option(
            "Where the language model of the index lies now, or tei:URL or openai:MODEL@URL for "
            "the server of its embedder, if it has moved. "
            "It must be the same model: the fingerprint is compared."
        ),
    ] = ""
    device: Annotated[str, model_option(_DEVICE)] = "auto"
    trust_remote_code: Annotated[bool, _TRUST] = False
    allow_model: Annotated[
        str,
        model_option(
            "A model of the Hugging Face hub, or a server's, that the index names and that you "
            "trust; asked for once, where no command of yours has used it before.",
            metavar="NAME",
        ),
    ] = ""
