"""Load a sentence-transformers model, dense or sparse, in the form that is chosen."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.checkpoints.checkpoint import check_finite, check_tokens
from embedder.checkpoints.devices import resolve_device
from embedder.checkpoints.hub import reachable_place
from embedder.checkpoints.library_errors import first_line, named_errors, quiet_transformers
from embedder.checkpoints.load_report import complete_weights
from embedder.checkpoints.module_folder import (
    MODULE_FILES,
    check_module_folder,
    drop_failing_template,
    whole_name,
)
from embedder.checkpoints.variant import ModelVariant

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer, SparseEncoder

KNOWN = ("revision", "quantize", "backend", "truncate_dim", "prompt_names")
_KIND = "sentence-transformers model"
_PROBES = ("a text", "Green tea, or hot lava?", "one two three " * 20)
_NEEDED = {
    "onnx": ("optimum.onnxruntime.modeling", "onnxruntime"),
    "openvino": ("optimum.intel.openvino", "openvino"),
}


def load_sentence_model(
    name: str, device: str, trust_remote_code: bool, variant: ModelVariant
) -> "tuple[SentenceTransformer | SparseEncoder, bool]":
    """Load a model by hub name or folder, and say whether it is sparse; the folder tells.

    Raises:
        ValueError: no model could be loaded, it gives no numbers, or has no such variant.
    """
    from sentence_transformers import SentenceTransformer, SparseEncoder

    variant.check(f"sbert:{name}", KNOWN)
    whole = whole_name(name)
    device = resolve_device(device)
    variant.check_revision(name)
    _check_backend(variant)
    options = variant.quantisation(device)
    source, local = reachable_place(whole, MODULE_FILES, variant.revision)
    place: dict[str, Any] = {
        "device": device,
        "trust_remote_code": trust_remote_code,
        "local_files_only": local,
        "revision": variant.revision or None,
        "backend": variant.backend,
        # Pickles run code.
        "model_kwargs": {"use_safetensors": True, **options} if variant.backend == "torch" else {},
    }
    with quiet_transformers(), named_errors(name, _KIND), complete_weights(name):
        check_module_folder(name, whole, variant.revision)
        sparse = _is_sparse(source, local, place["revision"])
        if sparse and variant.truncate_dim:
            raise ValueError(f"{name}: rows of a sparse model have no leading dimensions to keep")
        width = {} if sparse else {"truncate_dim": variant.truncate_dim or None}
        kind = SparseEncoder if sparse else SentenceTransformer
        model = kind(source, **place, **width)
    with named_errors(name, _KIND):
        check_finite(model, name)
        _check_reading(model, name, variant.truncate_dim)
    return model, sparse


def _check_backend(variant: ModelVariant) -> None:
    """Refuse a backend whose libraries are missing, or too old or new for transformers.

    Raises:
        ValueError: says what to install.
    """
    if variant.backend == "torch":
        return
    if variant.quantize != "none":
        raise ValueError("quantize is of the torch backend; leave out one of the two")
    module, runtime = _NEEDED[variant.backend]
    extra = f"pip install 'sentence-transformers[{variant.backend}]'"
    if find_spec(runtime) is None or find_spec("optimum") is None:
        raise ValueError(
            f"backend {variant.backend} needs optimum and {runtime}, not installed: {extra}"
        )
    try:
        __import__(module, fromlist=["_"])
    except ImportError as error:
        import transformers

        raise ValueError(
            f"backend {variant.backend}: {module} does not go with transformers "
            f"{transformers.__version__} ({first_line(error)}); install versions that do: {extra}"
        ) from error


def _is_sparse(name: str, local_files_only: bool, revision: str | None) -> bool:
    """Read from modules.json whether a model ends in a sparse module."""
    from sentence_transformers.util import load_file_path

    for file in MODULE_FILES[:2]:
        path = load_file_path(name, file, local_files_only=local_files_only, revision=revision)
        if path and any(
            mark in Path(path).read_text(encoding="utf-8")
            for mark in ('"SparseEncoder"', "sentence_transformers.sparse_encoder")
        ):
            return True
    return False


def _check_reading(
    model: "SentenceTransformer | SparseEncoder", name: str, truncate_dim: int
) -> None:
    """Refuse a model that gives no numbers of a text, or whose tokens it does not know."""
    from torch import Tensor

    table = getattr(getattr(model[0], "auto_model", None), "get_input_embeddings", lambda: None)()
    weight = getattr(table, "weight", None)
    if isinstance(weight, Tensor):
        check_tokens(len(weight), model.tokenizer, name)
    drop_failing_template(model)
    for encode in (model.encode_query, model.encode_document):
        rows = encode(list(_PROBES), convert_to_tensor=True, show_progress_bar=False)
        values = rows.coalesce().values() if rows.is_sparse else rows
        if not bool(values.isfinite().all()):
            raise ValueError(f"{name}: the model gives NaN or infinity for a text; it is damaged")
        if rows.shape[-1] < truncate_dim:
            raise ValueError(f"{name}: truncate_dim is {truncate_dim} of {rows.shape[-1]} columns")
        if rows.shape[-1] != model.get_embedding_dimension():
            raise ValueError(
                f"{name}: rows have {rows.shape[-1]} columns, and its configuration says "
                f"{model.get_embedding_dimension()}"
            )
