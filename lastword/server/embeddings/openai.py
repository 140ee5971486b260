"""The routes of OpenAI's embeddings interface, whose errors `lastword.server.errors` shapes."""

import base64
import json
import time
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.responses import JSONResponse, Response

from lastword.server.embeddings.encoders import DenseRow, TooLongError
from lastword.server.embeddings.messages import (
    LONGEST_NAME,
    OPENAI_TEXTS,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    OpenAIModel,
    OpenAIModels,
)
from lastword.server.embeddings.reading import WantedRows, cut_rows, models_of, read_rows
from lastword.server.embeddings.writing import write_row
from lastword.server.errors import OpenAIErrorBody, ServedError, new_router
from lastword.server.state import state_of

router = new_router(404, 424, body=OpenAIErrorBody)
_STARTED = int(time.time())
_TAGS: list[Any] = ["embeddings"]


@router.post("/v1/embeddings", response_model=EmbeddingsAnswer, tags=_TAGS)
async def embeddings(request: Request, asked: EmbeddingsRequest) -> Response:
    """Return the dense row of each text; texts are documents unless `prompt_name` is "query"."""
    served = models_of(request).find(state_of(request), asked.model, "dense")
    wanted = WantedRows.of(asked.input, asked.prompt_name, False, "right")
    if len(wanted.inputs) > OPENAI_TEXTS:
        raise ServedError(
            400, f"input: at most {OPENAI_TEXTS} texts in one request; got {len(wanted.inputs)}"
        )
    try:
        rows, tokens = await read_rows(request, served, wanted)
    except TooLongError as error:
        raise ServedError(400, f"input: {error}") from error
    kept = cut_rows(rows, asked.dimensions)
    write = _pack if asked.encoding_format == "base64" else write_row
    data = ",".join(
        f'{{"object":"embedding","index":{at},"embedding":{write(row)}}}'
        for at, row in enumerate(kept)
    )
    usage = json.dumps({"prompt_tokens": tokens, "total_tokens": tokens})
    name = json.dumps(served.index)
    return Response(
        f'{{"object":"list","data":[{data}],"model":{name},"usage":{usage}}}',
        media_type="application/json",
        headers={"x-compute-tokens": str(tokens)},
    )


@router.get("/v1/models", response_model=OpenAIModels, tags=_TAGS)
async def list_models(request: Request) -> Response:
    """List the indexes whose encoders embed texts."""
    names = models_of(request).names("dense")
    return JSONResponse(OpenAIModels(data=[_model(name) for name in names]).model_dump())


@router.get("/v1/models/{model}", response_model=OpenAIModel, tags=_TAGS)
async def get_model(
    request: Request, model: Annotated[str, Path(min_length=1, max_length=LONGEST_NAME)]
) -> Response:
    """Tell of one."""
    if model not in models_of(request).names("dense"):
        raise ServedError(404, f"there is no model {model!r}; /v1/models lists them")
    return JSONResponse(_model(model).model_dump())


def _model(name: str) -> OpenAIModel:
    return OpenAIModel(id=name, created=_STARTED, owned_by="lastword")


def _pack(row: DenseRow) -> str:
    return f'"{base64.b64encode(row.astype("<f4").tobytes()).decode()}"'
