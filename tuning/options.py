"""What a tuning takes beside an index, its encoders and judged queries."""

from dataclasses import dataclass

from embedder.arguments import check_fields

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class TuningOptions:
    """What is tuned, by which proposers, and how much it may take.

    Attributes:
        budget: limits that are never exceeded, as `Budget.parse` reads them.
        proposer: "auto", or names from `choose_proposers.NAMES` with commas, used in that order.
        tune: some of "query", "document", "both" and "reading", with commas.
        channels: some of the index's channels, with commas; "" is all.
        prompt: name or file of a prompt that is tried beside the index's; "" is none.
        writer: name, folder or address of the chat model for the proposer "llm"; "" is none.
        seed: of everything that is drawn.
        alpha: level of the tests by which a prompt is accepted.
        min_effect: smallest gain that is worth a change.
        soft_tokens: vectors that the proposer "soft" learns.
        soft_form: "direct", "residual", "low_rank" or "mixture": what they are computed from.
        soft_place: "after" the text, or "before" everything.
        soft_epochs: most passes of its training over the queries.
        judge: without judgements, name, folder or address of a chat model that compares what
            queries find; "" goes by the documents that queries were made of.

    >>> lw.TuningOptions(budget="300k-tokens,60-calls", tune="query,reading").alpha
    0.05
    """

    budget: str = "2M-tokens"
    proposer: str = AUTO
    tune: str = "query"
    channels: str = ""
    prompt: str = ""
    writer: str = ""
    seed: int = 0
    alpha: float = 0.05
    min_effect: float = 0.0
    soft_tokens: int = 4
    soft_form: str = "direct"
    soft_place: str = "after"
    soft_epochs: int = 10
    judge: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is a probability above 0 and below 1; got {self.alpha}")
        if not 0 <= self.min_effect <= 1:
            raise ValueError(f"min_effect is a gain in 0..1; got {self.min_effect}")
