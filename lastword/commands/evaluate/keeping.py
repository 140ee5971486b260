"""The encoder of benchmarks that judge one dense row a sentence: eval sts, eval transfer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from typer import Option

from embedder.files.name_lists import first_repeated
from lastword.cli.encoders import describe_spec, model_channels
from lastword.cli.options import EncoderOptions
from lastword.commands.evaluate.collections import encoder_settings

if TYPE_CHECKING:
    from embedder.encoders.specs import EncoderSpec
    from embedder.types import Encoder
    from eval.runs.record import Record


_Set = TypeVar("_Set")


@dataclass(frozen=True, slots=True)
class RunOutput:
    """Where figures go, and whether those that are there count."""

    out: Annotated[
        Path | None,
        Option(help="Run folder for the values of every item, for `lastword compare`."),
    ] = None
    resume: Annotated[
        bool,
        Option("--resume", help="Leave out what the run folder --out holds already."),
    ] = False

    def finished(
        self, benchmark: str, recipe: "EncoderSpec", encoder: "Encoder", more: dict[str, Any]
    ) -> "dict[str, Record]":
        """Make the run folder that is asked for, or go on in it; return what need not be judged.

        Args:
            benchmark: which.
            recipe: of the encoder.
            encoder: what reads the sentences.
            more: what else changes a figure, and "datasets".

        Raises:
            ValueError: the folder holds results of other settings, or none is given to go on in.
        """
        from eval.runs.run_config import open_run

        if self.out is None:
            if self.resume:
                raise ValueError("--resume goes on in a run folder; give it as --out")
            return {}
        settings = {
            "benchmark": benchmark,
            **encoder_settings({"dense": encoder}),
            **more,
        }
        return open_run(self.out, settings, self.resume)

    def judge(
        self, sets: "Sequence[_Set]", judge: "Callable[[_Set], Record]", recipe: "EncoderSpec"
    ) -> "dict[str, Record]":
        """Judge sets one by one, and write each record where a folder is asked for.

        Raises:
            ValueError: the encoder cannot be judged on a set; names the encoder.
        """
        records = {}
        for data in sets:
            try:
                record = judge(data)
            except ValueError as error:
                raise ValueError(f"{describe_spec(recipe)}: {error}") from error
            if self.out is not None:
                record.write(self.out)
            records[record.dataset] = record
        return records


def dense_encoder(reading: EncoderOptions) -> "tuple[Encoder, EncoderSpec]":
    """Load what gives dense rows; nothing else is computed.

    Raises:
        ValueError: there are none.
    """
    from embedder.prompts.files import load_prompt

    if reading.channels not in ("", "dense"):
        raise ValueError(
            f"sentences are judged by dense rows; leave out --channels {reading.channels}"
        )
    from embedder.encoders.specs import known_spec

    if reading.embedder:
        encoders = model_channels(replace(reading, channels=""))
        if "dense" not in encoders:
            raise ValueError(
                f"{reading.embedder} gives sparse rows; sentences are judged by dense ones"
            )
        return encoders["dense"], known_spec(encoders["dense"])
    from embedder.encoders.load import own_prompt

    prompt = load_prompt(reading.prompt) if reading.prompt else own_prompt(reading.model)
    if not prompt.reading.dense:
        raise ValueError(
            f"prompt {prompt.name!r} reads no dense rows, by which sentences are judged; "
            "take another --prompt, or dense = true in its [read]"
        )
    encoder = model_channels(replace(reading, channels="dense"))["dense"]
    return encoder, known_spec(encoder)


def prompt_name(spec: "EncoderSpec") -> str | None:
    """Return the name of the prompt; a sentence-transformers model may have none."""
    prompt = getattr(spec, "prompt", None)
    return prompt.name if prompt else None


def check_names(names: Iterable[str]) -> None:
    """Refuse data sets of one name, which would be one in a run folder.

    Raises:
        ValueError: a name comes twice.
    """
    if (name := first_repeated(names)) is not None:
        raise ValueError(f"two of the sets are called {name}; rename a file, or judge it alone")
