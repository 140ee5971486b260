"""The command that looks into the blocks of a model: prompts layers."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.options import ModelChoice, Output
from lastword.cli.screen import Screen, table

if TYPE_CHECKING:
    from embedder.inspect.layer_states import LayerReader, LayerWords
    from eval.tasks.layers import LayerCurve

app = Typer()


@dataclass(frozen=True, slots=True)
class LayerOptions(ModelChoice):
    """A text whose words are shown, or a collection by which blocks are compared."""

    text: Annotated[
        str | None, Argument(metavar="[TEXT]", help="Show what every block would say of it.")
    ] = None
    role: Annotated[
        Literal["query", "document"], Option(help="Which of the prompt's two sides the text is.")
    ] = "document"
    words: Annotated[int, Option(min=1, max=100, help="How many words of each block.")] = 3
    judge: Annotated[
        str,
        Option(
            metavar="DATASET",
            help="A collection with judgements, folder or name: which block's states find best?",
        ),
    ] = ""
    queries: Annotated[int, Option(min=1, help="With --judge: how many of its queries.")] = 50
    documents: Annotated[
        int,
        Option(min=1, help="With --judge: how many documents; all relevant ones are among them."),
    ] = 500
    measure: Annotated[str, Option(help="With --judge.")] = "nDCG@10"
    seed: Annotated[int, Option(min=0, help="With --judge: of what is drawn.")] = 0


@command(
    app,
    [
        'lastword prompts layers promptreps "Keys are rotated yearly."',
        'lastword prompts layers prompteol "a key" --model smollm2 --role query',
        "lastword prompts layers promptreps --model smollm2 --judge path/to/cranfield",
    ],
)
def layers(
    name: Annotated[str, Argument(metavar="NAME|FILE", help="A library name, or a .toml file.")],
    looking: LayerOptions,
    output: Output,
) -> None:
    """Show what a model would say of a text after each of its blocks, or which of them finds best.

    What a block says is what the model's last step makes of its state (logit lens). `layer` under
    [read] of a prompt file chooses the block that dense rows are read at.
    """
    from embedder.encoders.load import load_encoder
    from embedder.encoders.prompted import language_model_of
    from embedder.inspect.layer_states import LayerReader
    from embedder.inspect.preview import shortened
    from lastword.cli.encoders import read_prompt

    if (looking.text is None) == (not looking.judge):
        raise ValueError("give a text, or a collection to --judge by")
    screen = Screen(output)
    prompt, _ = shortened(read_prompt(name))
    with screen.waiting("Loading the model"):
        loaded = language_model_of(load_encoder(looking.model, prompt, looking.llm_options()))
        assert loaded is not None, looking
        reader = LayerReader(loaded)
    if looking.judge:
        _show_curve(_judge(reader, looking, prompt.reading.norm, screen), screen)
    else:
        _show_words(reader, looking, screen)


def _show_words(reader: "LayerReader", looking: LayerOptions, screen: Screen) -> None:
    from embedder.types import Role

    said = reader.say(looking.text or "", Role(looking.role), looking.words)
    rows = [[_name(one.depth), f"{one.cosine:.3f}", _list_words(one)] for one in said]
    heads = (">block", ">cosine to the top", "says")
    screen.result([asdict(one) for one in said], table(*heads, rows=rows, texts=["says"]))


def _name(depth: int) -> str:
    return str(depth) if depth else "embedding"


def _list_words(one: "LayerWords") -> str:
    return "  ".join(
        f"{word.strip() or repr(word)} {100 * share:.0f}%" for word, share in one.words
    )


def _judge(reader: "LayerReader", looking: LayerOptions, norm: str, screen: Screen) -> "LayerCurve":
    from eval.data.collections import open_collection
    from eval.tasks.layers import LayerSample, draw_sample, judge_layers

    sample = LayerSample(looking.queries, looking.documents, looking.measure, looking.seed)
    drawn = draw_sample(open_collection(looking.judge), sample)
    with screen.progress("Reading", drawn.texts, "texts") as advance:
        return judge_layers(reader, drawn, norm, sample, advance)


def _show_curve(curve: "LayerCurve", screen: Screen) -> None:
    most = max(score.mean for score in curve.scores) or 1.0
    rows = [
        [
            _name(score.depth),
            f"{score.mean:.4f}",
            "" if score.gain is None else f"{score.gain.low:+.4f} to {score.gain.high:+.4f}",
            f"{score.cosine:.3f}",
            "#" * round(20 * score.mean / most),
        ]
        for score in curve.scores
    ]
    heads = (">block", f">{curve.measure}", ">less the top's, 95%", ">cosine of two documents", "")
    screen.result(curve.to_json(), table(*heads, rows=rows))
    screen.remark(
        f"{curve.queries:,} queries of {curve.dataset} and {curve.documents:,} of its documents, "
        f"which is easier than all of it. Best: layer = {curve.best.depth}; chosen here, it is to "
        "be judged on other queries."
    )
