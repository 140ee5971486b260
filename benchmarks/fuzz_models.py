"""Model folders: a small one that lacks, damages or exchanges something, at random.

A collection is indexed with it and searched: an index that was made must answer, and what is
refused must be refused by the folder's name. Every fourth is read by sentence-transformers.
"""

import json
import math
import pickle
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from benchmarks.fuzz_trial import Trial, judge_index, pick

FOLDER = "broken-model"
WEIGHTS = "model.safetensors"
_TEXTS = b'{"_id": "a", "text": "green tea"}\n{"_id": "b", "text": "hot lava"}\n'
_JSON = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json")
_SBERT_JSON = (
    *("modules.json", "1_Pooling/config.json", "sentence_bert_config.json"),
    "config_sentence_transformers.json",
)
_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 31, 64, 1000, 10**6, 10**9, 2**31, 2**63, 10**30, -(2**63)),
    *(0.0, 0.5, -0.5, 1e-300, 1e308, math.nan, math.inf, -math.inf),
    *("", "x", "no", "true", "float16", "float99", "a\nb", "../x", "\0", "x" * 10_000),
    *(True, False, None, [], [1], ["x"], [[]], {}, {"a": 1}, {"type": "x"}, [{}]),
)
_TYPES = (
    *("bert", "roberta", "t5", "bart", "gpt2", "gpt_neox", "opt", "mistral", "qwen2", "qwen3"),
    *("gemma2", "mamba", "vit", "clip", "whisper", "mixtral", "falcon", "x", "", "bloom", "phi"),
)
_QUANTISED = ("gptq", "awq", "bitsandbytes", "fp8", "compressed-tensors", "quanto", "hqq", "x")
_TEMPLATES = (
    "{{ raise_exception('no') }}", "{% for %}", "{{ messages[9].x.y }}", "{{ ''.__class__ }}", "",
    "{% for m in messages %}{{ m.content | upper }}{% endfor %}", "{{ messages | length }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{{ 1 // 0 }}",
    "{{ 'x' * 10 ** 11 }}{{ messages[0].content }}", "{{ messages[0].content * 3 }}", "{{ x }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ 10 ** (10 ** 9) }}",
)  # fmt: skip
Rng = np.random.Generator
Files = dict[str, bytes]
Change = Callable[[Rng, Files], str]


def campaign(seed: int, count: int) -> Iterator[Trial]:
    """Yield folders in each of which one to three things are changed."""
    base = _base()
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        files = dict(base) if number % 4 == 3 else {n: base[n] for n in base if n not in _SBERT}
        changes = [pick(rng, _CHANGES)(rng, files) for _ in range(rng.choice([1, 1, 2, 3]))]
        sbert = "modules.json" in base and number % 4 == 3
        model = ("--embedder", f"sbert:{FOLDER}") if sbert else ("--model", FOLDER)
        prompt = () if sbert else (("--prompt", "e5-mistral"), ("--prompt", "promptreps"), ())
        chosen = pick(rng, prompt) if prompt else ()
        more = ("--channels", "dense,bm25") if "e5-mistral" in chosen else ()
        yield Trial(
            name=f"{'sbert' if sbert else 'llm'}: {'; '.join(changes)}"[:200],
            commands=(
                ("index", "a.jsonl", "-o", "x", *model, *chosen, *more, "-q"),
                ("search", "x", "lava", "-q"),
            ),
            files={f"{FOLDER}/{name}": data for name, data in files.items()} | {"a.jsonl": _TEXTS},
            names=(FOLDER, "no index at x", "x: "),
            judge=judge_index,
        )


@cache
def _base() -> Files:
    """Return the files of a sound model, with those of sentence-transformers."""
    from tests.models import save_llama

    with tempfile.TemporaryDirectory() as place:
        folder = save_llama(Path(place))
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
    pooling = {"word_embedding_dimension": 32, "pooling_mode": "mean"}
    kinds = "sentence_transformers.models."
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{kinds}Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kinds}Pooling"},
    ]
    files["modules.json"] = json.dumps(modules).encode()
    files["1_Pooling/config.json"] = json.dumps(pooling).encode()
    files["sentence_bert_config.json"] = b'{"max_seq_length": 128, "do_lower_case": false}'
    files["config_sentence_transformers.json"] = b'{"model_type": "SentenceTransformer"}'
    return files


_SBERT = frozenset(_SBERT_JSON)


def _value_of_config(rng: Rng, files: Files) -> str:
    return _set(rng, files, "config.json")


def _value_elsewhere(rng: Rng, files: Files) -> str:
    return _set(rng, files, pick(rng, [name for name in _json_of(files) if name != "config.json"]))


def _set(rng: Rng, files: Files, name: str) -> str:
    """Give a key of a JSON file, however deep, a random value, or take it away."""
    try:
        data = json.loads(files[name])
        tables = list(_tables(data)) or [{}]
    except (KeyError, ValueError, RecursionError):
        return f"{name} as it is"
    table = tables[0] if rng.random() < 0.6 else pick(rng, tables)
    key = pick(rng, list(table) or ["x"])
    if rng.random() < 0.15:
        table.pop(key, None)
        change = f"no {key}"
    else:
        table[key] = pick(rng, _VALUES)
        change = f"{key} = {str(table[key])[:40]!r}"
    files[name] = json.dumps(data).encode()
    return f"{name}: {change}"


def _tables(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list) and len(value) < 300:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tables(item)


def _json_of(files: Files) -> list[str]:
    return [name for name in (*_JSON, *_SBERT_JSON) if name in files] or ["config.json"]


def _spoilt(rng: Rng, files: Files) -> str:
    """Spoil the bytes of a file."""
    name = pick(rng, sorted(files))
    data = files[name]
    at = int(rng.integers(len(data) + 1))
    kinds = {
        "cut": data[:at],
        "empty": b"",
        "noise": data[:at] + rng.bytes(16) + data[at + 16 :],
        "zeros": bytes(len(data)),
        "list": b"[]",
        "number": b"3",
        "null": b"null",
        "deep": b"[" * 100_000,
        "utf-16": data.decode("latin-1").encode("utf-16"),
        "BOM": b"\xef\xbb\xbf" + data,
    }
    kind = pick(rng, list(kinds))
    files[name] = kinds[kind]
    return f"{name}: {kind}"


def _gone(rng: Rng, files: Files) -> str:
    name = pick(rng, sorted(files))
    del files[name]
    return f"no {name}"


def _another_kind(rng: Rng, files: Files) -> str:
    """Say that the weights are of another architecture."""
    try:
        config = json.loads(files["config.json"])
        config["model_type"] = kind = pick(rng, _TYPES)
    except (KeyError, ValueError, TypeError, RecursionError):
        return "no configuration"
    if rng.random() < 0.5:
        config["architectures"] = [f"{kind.capitalize()}ForCausalLM"]
    if rng.random() < 0.3:
        config |= {"is_decoder": True, "is_encoder_decoder": bool(rng.random() < 0.5)}
    files["config.json"] = json.dumps(config).encode()
    return f"model_type = {kind}"


def _quantised(rng: Rng, files: Files) -> str:
    try:
        config = json.loads(files["config.json"])
        kind = pick(rng, _QUANTISED)
        config["quantization_config"] = {"quant_method": kind, "bits": pick(rng, (4, 8, 0, "x"))}
    except (KeyError, ValueError, TypeError, RecursionError):
        return "no configuration"
    files["config.json"] = json.dumps(config).encode()
    return f"quantised by {kind}"


def _weights(rng: Rng, files: Files) -> str:
    """Change one tensor, or all."""
    try:
        arrays = load(files[WEIGHTS])
    except Exception:  # spoilt before
        return "weights as they are"
    if not arrays:
        return "no weights to change"
    name = pick(rng, sorted(arrays))
    array = arrays[name].astype(np.float32)
    changes: dict[str, dict[str, Any]] = {
        "missing": {},
        "renamed": {name.replace("proj", "prOj") + "_": array},
        "cut": {name: array[:-1]},
        "wider": {name: np.concatenate([array, array])},
        "flat": {name: array.reshape(-1)},
        "transposed": {name: np.ascontiguousarray(array.T)},
        "a number": {name: array.reshape(-1)[:1].reshape(())},
        "NaN": {name: array * np.nan},
        "infinite": {name: np.where(rng.random(array.shape) < 0.1, np.inf, array)},
        "zeros": {name: np.zeros_like(array)},
        "huge": {name: array * 1e30},
        "integers": {name: array.astype(np.int64)},
        "half": {name: array.astype(np.float16)},
        "one more": {name: array, "model.layers.7.mlp.up_proj.weight": array},
        "bias": {name: array, name.replace("weight", "bias"): np.ones(len(array), np.float32)},
    }
    kind = pick(rng, list(changes))
    others = {key: other for key, other in arrays.items() if key != name}
    if rng.random() < 0.1:
        kind, others, changes = "of nothing", {}, {"of nothing": {}}
    fresh = {key: np.asarray(value, order="C") for key, value in changes[kind].items()}
    files[WEIGHTS] = save(others | fresh, {"format": "pt"})
    return f"{name}: {kind}"


def _sharded(rng: Rng, files: Files) -> str:
    """Name the weights in an index of shards, which is right or wrong."""
    if WEIGHTS not in files:
        return "no weights"
    shard = "model-00001-of-00002.safetensors"
    named: Any = pick(rng, (shard, "model-00002-of-00002.safetensors", "../x", 3, "/etc/passwd"))
    try:
        names = list(load(files[WEIGHTS]))
    except Exception:
        names = ["x"]
    files[shard] = files.pop(WEIGHTS)
    whole: Any = {"metadata": {}, "weight_map": dict.fromkeys(names, named)}
    files[f"{WEIGHTS}.index.json"] = json.dumps(pick(rng, (whole, whole, [], {}, 3))).encode()
    return f"shards in {named}"


def _pickled(rng: Rng, files: Files) -> str:
    if rng.random() < 0.7:
        files.pop(WEIGHTS, None)
    files["pytorch_model.bin"] = pickle.dumps({"x": 1}) if rng.random() < 0.5 else b""
    return "weights in a pickle"


def _chat(rng: Rng, files: Files) -> str:
    template = pick(rng, _TEMPLATES)
    files["chat_template.jinja"] = template.encode()
    return f"chat template {template}"


def _larger(rng: Rng, files: Files) -> str:
    """Give the tokenizer tokens that the model does not know."""
    try:
        data = json.loads(files["tokenizer.json"])
        data["model"]["vocab"]["more"] = pick(rng, (10**4, 2**31, -1, 0))
    except (KeyError, ValueError, TypeError, RecursionError):
        return "no tokenizer"
    files["tokenizer.json"] = json.dumps(data).encode()
    return "a larger tokenizer"


def _more_files(rng: Rng, files: Files) -> str:
    name = pick(rng, ("adapter_config.json", "prompt.toml", "added_tokens.json", "vocab.json"))
    files[name] = pick(rng, (b"", b"{}", b"[]", b'{"a": "b"}', b"name = 3", b"\xff", b"x = {"))
    return f"{name}: {files[name]!r}"


_CHANGES: tuple[Change, ...] = (
    *(_value_of_config, _value_of_config, _value_of_config, _value_elsewhere, _value_elsewhere),
    *(_spoilt, _spoilt, _gone, _another_kind, _quantised, _weights, _weights, _weights, _sharded),
    *(_pickled, _chat, _chat, _larger, _more_files),
)
