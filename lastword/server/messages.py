"""Requests and answers of the search API, with the limits on them.

Answers to searches are plain dicts, which become JSON as they are: nothing is checked that is ours.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import TypedDict  # pydantic reads that of Python from 3.12 on

from retrieval.fusion import FUSIONS

MOST_HITS, MOST_QUERIES, MOST_DOCUMENTS, MOST_CHANNELS = 1000, 100, 1000, 32
DEEP, MOST_DEEP_QUERIES = 100, 10  # more hits of each query than that: fewer queries
LONGEST_QUERY, LONGEST_NAME = 10_000, 1000  # characters
LONGEST_ID = 4096  # as of a path of a file; so that it fits into a head of 64 KiB, however escaped
LONGEST_TITLE, LONGEST_TEXT = 10_000, 150_000  # so that one fits into a body, however escaped
FILTER_FORMAT = "lastword-filter"
"""Format of the text of a filter, in the OpenAPI document."""


def _read_whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_read_whole)]
"""An integer as JSON Schema has it: 3.0 is one."""

_WORDED = r"[^\s\x1c-\x1f\x85]"  # something that is no white space, by any program's table
_QueryText = Annotated[str, Field(min_length=1, max_length=LONGEST_QUERY, pattern=_WORDED)]
_ShortText = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
_DocumentName = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
_FilterFormat = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_QUERY, json_schema_extra={"format": FILTER_FORMAT}),
]
_FUSION = (
    rf"^({'|'.join(FUSIONS)})(:[^:=,\s]+=[0-9]{{1,9}}(\.[0-9]{{1,9}})?"
    r"(,[^:=,\s]+=[0-9]{1,9}(\.[0-9]{1,9})?)*)?$"
)
_FusionWeight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Choice(_Request):
    """What is searched: an index, some of its channels, their fusion, and some documents."""

    index: _ShortText | None = Field(None, description="By its name; the first by default.")
    channels: list[_ShortText] | None = Field(
        None, min_length=1, max_length=MOST_CHANNELS, description="Some of the index's channels."
    )
    fusion: Annotated[str, Field(max_length=LONGEST_NAME, pattern=_FUSION)] | None = Field(
        None, description='"rrf", "minmax", or with weights: "minmax:dense=0.7,bm25=0.3".'
    )
    weights: dict[_ShortText, _FusionWeight] | None = Field(
        None,
        min_length=1,
        max_length=MOST_CHANNELS,
        description="Of the fusion, instead of its own: channel -> weight; of the others 0.",
    )
    filter: _FilterFormat | None = Field(
        None, description="A condition on metadata: 'year >= 2020 and \"tax\" in tags'."
    )


class SearchRequest(Choice):
    """One query, or several."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["query"]}, {"required": ["queries"]}],
            "anyOf": [
                {"properties": {"k": {"maximum": DEEP}}},
                {"properties": {"queries": {"maxItems": MOST_DEEP_QUERIES}}},
            ],
        }
    )

    query: _QueryText = Field("", validate_default=False, description="Instead of `queries`.")
    queries: list[_QueryText] = Field(
        [], min_length=1, max_length=MOST_QUERIES, description="Instead of `query`."
    )
    k: WholeNumber = Field(10, ge=1, le=MOST_HITS, description="Most hits of a query.")
    passages: bool = Field(True, description="Give the passage by which a hit was found.")
    highlight: bool = Field(True, description="Give where words of the query stand.")
    texts: bool = Field(False, description="Give the whole text of each hit.")
    shares: bool = Field(False, description="Give each channel's part of the fused score.")
    words: bool = Field(False, description="Give the model's own words for the query.")

    @model_validator(mode="after")
    def _check_queries(self) -> "SearchRequest":
        if bool(self.query) == bool(self.queries):
            raise ValueError('give either "query", a text, or "queries", a list of texts')
        if self.k > DEEP and len(self.queries) > MOST_DEEP_QUERIES:
            raise ValueError(
                f"a request for more than {DEEP} hits has at most {MOST_DEEP_QUERIES} queries; "
                f"got {len(self.queries)} queries and k {self.k}"
            )
        return self


class ExplainRequest(Choice):
    """A query, and the document whose score is explained."""

    query: _QueryText
    id: _DocumentName
    pieces: bool = Field(False, description="Name the pieces of words that the model knows.")


class NewDocument(_Request):
    """A document that is added; its title or its text is not blank."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [name], "properties": {name: {"pattern": _WORDED}}}
                for name in ("text", "title")
            ]
        }
    )

    id: _DocumentName
    text: Annotated[str, Field(max_length=LONGEST_TEXT)]
    title: Annotated[str, Field(max_length=LONGEST_TITLE)] = ""
    metadata: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check_words(self) -> "NewDocument":
        if not (self.text.strip() or self.title.strip()):
            raise ValueError(f"document {self.id!r} has neither title nor text; leave it out")
        return self


class AddRequest(_Request):
    """Documents, each of which is added, or takes the place of the one with its id."""

    index: _ShortText | None = Field(None, description="By its name; the first by default.")
    documents: list[NewDocument] = Field(min_length=1, max_length=MOST_DOCUMENTS)
    replace: bool = Field(True, description="False refuses ids that the index has.")


class ChannelHit(TypedDict):
    """Where a channel ranked a hit, from 1, with which score, and its part of the fused score."""

    rank: int
    score: float
    share: float | None


class PassageHit(TypedDict):
    """A part of a document's text; matches are (start, end) in the text of the document."""

    start: int
    end: int
    page: int | None
    text: str
    matches: list[tuple[int, int]]


class HitMessage(TypedDict):
    """A document that was found."""

    rank: int
    id: str
    score: float
    channels: dict[str, ChannelHit]
    title: str
    title_matches: list[tuple[int, int]]
    text: Annotated[str | None, Field(description="Where it was asked for.")]
    passage: PassageHit | None
    metadata: dict[str, Any]


class WordWeight(TypedDict):
    """A word with its weight or its part of a score."""

    word: str
    weight: float


class SearchAnswer(TypedDict):
    """The hits of one query, best first."""

    index: str
    generation: int
    query: str
    channels: list[str]
    fusion: Annotated[str | None, Field(description="Null where one channel was searched.")]
    hits: list[HitMessage]
    words: Annotated[
        dict[str, list[WordWeight]], Field(description="Sparse channel -> the model's words.")
    ]
    remarks: Annotated[list[str], Field(description="What the client should know of its search.")]
    seconds: Annotated[dict[str, float], Field(description="Step of the batch -> wall time.")]


class SearchAnswers(TypedDict):
    """An answer for each of several queries, in their order."""

    results: list[SearchAnswer]


class ExplainedChannel(BaseModel):
    """The score of a document in one channel."""

    name: str
    score: float
    rank: int | None
    share: float
    words: list[WordWeight]
    passage: tuple[int, int] | None


class ExplainAnswer(BaseModel):
    """Why a document has its score."""

    index: str
    generation: int
    query: str
    id: str
    title: str
    score: float
    found: bool = Field(description="Whether the search finds it.")
    channels: list[ExplainedChannel]
    words: dict[str, list[WordWeight]] = Field(description="As of a search.")


class DocumentMessage(BaseModel):
    """A document."""

    id: str
    title: str
    text: str
    metadata: dict[str, Any]


class IndexMessage(BaseModel):
    """An index that is served."""

    name: str
    generation: int
    documents: int
    channels: list[str]
    sparse: list[str] = Field(description="Channels of a model's words.")
    fusion: str | None
    models: dict[str, str] = Field(description="Channel -> the name of its model.")
    unfinished: bool
    damaged: str | None = Field(description="Why a newer generation is not served.")


class IndexesAnswer(BaseModel):
    """The indexes of a server; a request that names none is for the first."""

    indexes: list[IndexMessage]
    writable: bool
    version: str


class AddAnswer(BaseModel):
    """What was added."""

    index: str
    added: int
    generation: int
    documents: int = Field(description="In the index now.")


class DeleteAnswer(BaseModel):
    """What was deleted."""

    index: str
    deleted: int
    generation: int
    documents: int = Field(description="In the index now.")


class HealthAnswer(BaseModel):
    """That the server answers."""

    status: str
    indexes: int
    damaged: list[str]
