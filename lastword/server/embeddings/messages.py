"""Requests and answers of text-embeddings-inference and of OpenAI, with the names that they use."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from lastword.server.messages import WholeNumber

LONGEST_NAME, MOST_IDS, LARGEST_ID = 1000, 100_000, 2**31 - 1
OPENAI_TEXTS = 2048  # of one request, as OpenAI takes

_ServedName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
_GivenText = Annotated[str, Field(min_length=1)]
_TokenNumber = Annotated[WholeNumber, Field(ge=0, le=LARGEST_ID)]
_IdList = Annotated[list[_TokenNumber], Field(min_length=1, max_length=MOST_IDS)]


def _in_words(expected: str) -> WrapValidator:
    """Say in one sentence what is expected, where pydantic would say it of every alternative."""

    def check(value: Any, validate: Any) -> Any:  # noqa: ANN401  (pydantic's types)
        try:
            return validate(value)
        except ValidationError:
            raise PydanticCustomError("expected", "expected {what}", {"what": expected}) from None

    return WrapValidator(check)


Inputs = Annotated[
    _GivenText | _IdList | Annotated[list[_GivenText | _IdList], Field(min_length=1)],
    _in_words("a text, a list of texts, or lists of token ids, none of them empty"),
]
_TextOrTexts = Annotated[
    _GivenText | Annotated[list[_GivenText], Field(min_length=1)],
    _in_words("a text or a list of texts, none of them empty"),
]
_IdsOrLists = Annotated[
    _IdList | Annotated[list[_IdList], Field(min_length=1)],
    _in_words("token ids or lists of them, none empty"),
]
_CutSide = Literal["left", "right", "Left", "Right"]


class _StrictBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _WordedInput(_StrictBody):
    prompt_name: Literal["query", "document", "passage"] | None = Field(
        None, description='The wording: "query", or "document" (the default), also "passage".'
    )
    model: _ServedName | None = Field(
        None, description="An index by its name; the first by default."
    )


class _ShortenedInput(_WordedInput):
    truncate: bool | None = Field(
        False, description="Cut texts that are too long; else they are refused with 413."
    )
    truncation_direction: _CutSide = Field(
        "right", description="The end of a text that is cut off."
    )


class EmbedRequest(_ShortenedInput):
    """Texts that are read as dense rows."""

    inputs: Inputs
    normalize: bool | None = Field(True, description="Rows have unit length all the same.")
    dimensions: WholeNumber | None = Field(
        None, ge=1, description="Numbers of a row that are kept."
    )


class EmbedSparseRequest(_ShortenedInput):
    """Texts that are read as weighted words."""

    inputs: Inputs


class SimilarityInput(_StrictBody):
    """A sentence, and those that it is compared with."""

    source_sentence: _GivenText
    sentences: list[_GivenText] = Field(min_length=1)


class SimilarityRequest(_StrictBody):
    """Sentences whose cosines are computed."""

    inputs: SimilarityInput
    parameters: _ShortenedInput | None = None


class RerankRequest(_StrictBody):
    """Texts that are ordered for a query."""

    query: _GivenText
    texts: list[_GivenText] = Field(min_length=1)
    raw_scores: bool = Field(False, description="Give log-odds where they became probabilities.")
    return_text: bool = False
    truncate: bool | None = False
    truncation_direction: Literal["right", "Right"] = "right"


class TokenizeRequest(_WordedInput):
    """Texts whose tokens are listed."""

    inputs: _TextOrTexts
    add_special_tokens: bool = True


class DecodeRequest(_StrictBody):
    """Token ids that are written as text."""

    ids: _IdsOrLists
    skip_special_tokens: bool = True
    model: _ServedName | None = Field(
        None, description="An index by its name; the first by default."
    )


class EmbeddingsRequest(_StrictBody):
    """Texts that are read as dense rows, as OpenAI's clients ask."""

    input: Inputs
    model: _ServedName | None = Field(
        None, description="An index by its name; the first by default."
    )
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: WholeNumber | None = Field(
        None, ge=1, description="Numbers of a row that are kept."
    )
    user: str | None = None
    prompt_name: Literal["query", "document", "passage"] | None = Field(
        None, description="The wording, which OpenAI does not have; document by default."
    )


class SparseValue(BaseModel):
    """A column with its weight."""

    index: int
    value: float


class SimpleToken(BaseModel):
    """A token, and its characters in the text."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class Rank(BaseModel):
    """A text by its number, with its score."""

    index: int
    score: float
    text: str | None = None


class Info(BaseModel):
    """The model of the first index, and the limits on requests."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    model_type: dict[str, dict[str, Any]]
    max_concurrent_requests: int
    max_input_length: int = Field(description="Tokens of a text that are read; 0 is not known.")
    max_batch_tokens: int
    max_batch_requests: int | None = None
    max_client_batch_size: int
    auto_truncate: bool = False
    tokenization_workers: int
    version: str
    models: list[str] = Field(description='Indexes with an encoder, to be named as "model".')


class OpenAIRow(BaseModel):
    """The row of one text: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class OpenAIUsage(BaseModel):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """The rows of texts, in their order."""

    object: Literal["list"] = "list"
    data: list[OpenAIRow]
    model: str
    usage: OpenAIUsage


class OpenAIModel(BaseModel):
    """An index with a dense encoder."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class OpenAIModels(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[OpenAIModel]
