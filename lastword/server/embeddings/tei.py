"""The routes of text-embeddings-inference (Hugging Face), with its names, defaults and statuses."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from fastapi import Request
from fastapi.responses import JSONResponse, Response

from embedder.files.content_hash import content_hash
from lastword.server.embeddings.encoders import ServedEncoder, TooLongError
from lastword.server.embeddings.messages import (
    DecodeRequest,
    EmbedRequest,
    EmbedSparseRequest,
    Info,
    Rank,
    RerankRequest,
    SimilarityRequest,
    SimpleToken,
    SparseValue,
    TokenizeRequest,
)
from lastword.server.embeddings.reading import (
    WantedRows,
    computed,
    cut_rows,
    listed,
    models_of,
    read_rows,
    role_of,
)
from lastword.server.embeddings.reranking import RerankedTexts
from lastword.server.embeddings.tokens import TextTokens
from lastword.server.embeddings.writing import write_rows
from lastword.server.errors import ServedError, new_router
from lastword.server.settings import THREADS
from lastword.server.state import state_of

router = new_router(404, 424)
_TAGS: list[Any] = ["embeddings"]


@router.get("/info", response_model=Info, tags=_TAGS)
async def info(request: Request) -> Response:
    """Tell the model of the first index, and the limits on requests."""
    state, models = state_of(request), models_of(request)
    names, settings = models.names("dense", "sparse"), state.settings
    first = next(iter(state.engines))
    served = models.served.get((first, "dense")) or models.served.get((first, "sparse"))
    answer = Info(
        **_model_facts(served),
        max_concurrent_requests=settings.places,
        max_batch_tokens=settings.batch_tokens,
        max_client_batch_size=settings.client_batch,
        tokenization_workers=THREADS,
        version=version("lastword"),
        models=names,
    )
    return JSONResponse(answer.model_dump())


@router.post("/embed", response_model=list[list[float]], tags=_TAGS)
async def embed(request: Request, asked: EmbedRequest) -> Response:
    """Return the dense row of each text."""
    served = models_of(request).find(state_of(request), asked.model, "dense")
    rows, tokens = await _read(request, served, asked)
    body = write_rows(cut_rows(rows, asked.dimensions))
    return Response(body, media_type="application/json", headers=_counted(tokens))


@router.post("/", include_in_schema=False)  # GET is the page
async def embed_at_root(request: Request, asked: EmbedRequest) -> Response:
    """Do as `/embed` does, for clients that know the address of a server alone."""
    return await embed(request, asked)


@router.post("/embed_sparse", response_model=list[list[SparseValue]], tags=_TAGS)
async def embed_sparse(request: Request, asked: EmbedSparseRequest) -> Response:
    """Return the weighted words of each text, by the columns of the model."""
    served = models_of(request).find(state_of(request), asked.model, "sparse")
    rows, tokens = await _read(request, served, asked)
    pairs = [zip(terms.tolist(), weights.tolist(), strict=True) for terms, weights in rows]
    return _answer([[{"index": term, "value": w} for term, w in row] for row in pairs], tokens)


@router.post("/similarity", response_model=list[float], tags=_TAGS)
async def similarity(request: Request, asked: SimilarityRequest) -> Response:
    """Return the cosine of a sentence with each of the others."""
    rules = asked.parameters
    served = models_of(request).find(state_of(request), rules.model if rules else None, "dense")
    texts = [asked.inputs.source_sentence, *asked.inputs.sentences]
    _check_size(request, asked.inputs.sentences)
    wanted = WantedRows(texts, role_of(None))
    if rules is not None:
        named = rules.prompt_name, rules.truncate, rules.truncation_direction
        wanted = WantedRows.of(texts, *named)
    rows, tokens = await _rows(request, served, wanted)
    return _answer((np.stack(rows[1:]) @ rows[0]).tolist(), tokens)


@router.post("/rerank", response_model=list[Rank], tags=_TAGS)
async def rerank(request: Request, asked: RerankRequest) -> Response:
    """Order texts for a query, the most relevant first."""
    state, reranker = state_of(request), models_of(request).reranker
    if reranker is None:
        raise ServedError(424, "no reranker is loaded: start the server with --rerank")
    _check_size(request, asked.texts)
    item = RerankedTexts(asked.query, tuple(asked.texts), bool(asked.truncate))
    tokens = sum(len(text) + len(asked.query) for text in asked.texts) // 4
    try:
        scores = await computed(request, state.queue.submit(reranker, item, tokens))
    except TooLongError as error:
        raise ServedError(413, f"{error}: shorten it, or give truncate: true") from error
    if reranker.gives_log_odds and not asked.raw_scores:
        scores = 1 / (1 + np.exp(-scores.astype(np.float64)))
    ranks = [
        {"index": at, "score": float(scores[at])} | _text(asked, at)
        for at in np.argsort(-scores, kind="stable").tolist()
    ]
    return JSONResponse(ranks)


@router.post("/tokenize", response_model=list[list[SimpleToken]], tags=_TAGS)
async def tokenize(request: Request, asked: TokenizeRequest) -> Response:
    """List the tokens of texts, as the limit on a text counts them."""
    state, texts, role = state_of(request), listed(asked.inputs), role_of(asked.prompt_name)
    _check_size(request, texts)
    tokens = _tokens(request, asked.model)

    def cut() -> list[list[dict[str, Any]]]:
        return [tokens.cut(str(text), role, asked.add_special_tokens) for text in texts]

    return JSONResponse(await computed(request, state.run(cut)))


@router.post("/decode", response_model=list[str], tags=_TAGS)
async def decode(request: Request, asked: DecodeRequest) -> Response:
    """Write token ids as text."""
    state = state_of(request)
    rows: list[Any] = listed(asked.ids)
    _check_size(request, rows)
    tokens = _tokens(request, asked.model)

    def write() -> list[str]:
        return [tokens.write(ids, asked.skip_special_tokens) for ids in rows]

    try:
        return JSONResponse(await computed(request, state.run(write)))
    except ServedError as error:
        if error.status_code != 424:
            raise
        raise ServedError(422, error.detail) from error


def _check_size(request: Request, inputs: Sequence[object]) -> None:
    most = state_of(request).settings.client_batch
    if len(inputs) > most:
        raise ServedError(
            413, f"a request has at most {most} texts (max_client_batch_size); got {len(inputs)}"
        )


def _tokens(request: Request, index: str | None) -> TextTokens:
    served = models_of(request).find(state_of(request), index, "dense", "sparse")
    if served.tokens is None:
        raise ServedError(424, f"index {served.index!r}: the tokenizer of its model is not here")
    return served.tokens


async def _read(
    request: Request, served: ServedEncoder, asked: EmbedRequest | EmbedSparseRequest
) -> tuple[list[Any], int]:
    wanted = WantedRows.of(
        asked.inputs, asked.prompt_name, asked.truncate, asked.truncation_direction
    )
    _check_size(request, wanted.inputs)
    return await _rows(request, served, wanted)


async def _rows(
    request: Request, served: ServedEncoder, wanted: WantedRows
) -> tuple[list[Any], int]:
    try:
        return await read_rows(request, served, wanted)
    except TooLongError as error:
        raise ServedError(413, f"{error}: shorten it, or give truncate: true") from error


def _answer(value: Any, tokens: int) -> Response:  # noqa: ANN401
    return JSONResponse(value, headers=_counted(tokens))


def _counted(tokens: int) -> dict[str, str]:
    return {"x-compute-tokens": str(tokens)}


def _text(asked: RerankRequest, at: int) -> dict[str, str]:
    return {"text": asked.texts[at]} if asked.return_text else {}


def _model_facts(served: ServedEncoder | None) -> dict[str, Any]:
    """Return what tells a model from others: an index's encoder, and what is done to its rows."""
    if served is None:
        nothing = {"model_id": "bm25", "model_sha": None, "model_dtype": "none"}
        return {**nothing, "model_type": {}, "max_input_length": 0}
    with served.engine.reading() as retriever:
        spec = retriever.index.channels[served.channel]
    facts = spec.fingerprint + (spec.post.to_text() if spec.post else "")
    encoder = served.encoder
    named = getattr(encoder, "spec", None)
    return {
        "model_id": str(getattr(named, "model", "") or type(encoder).__name__),
        "model_sha": content_hash(facts)[:40],
        "model_dtype": str(getattr(named, "dtype", "float32")),
        "model_type": {
            "embedding": {"pooling": "splade" if served.kind == "sparse" else "last_token"}
        },
        "max_input_length": served.tokens.limit if served.tokens else 0,
    }
