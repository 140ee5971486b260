"""Prompt: a template per role and the rules of reading; TOML in and out; content hash."""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from embedder.types import Role

SLOT = "{text}"
_NOTES = ("name", "description", "source", "use", "fusion")
LIBRARY = Path(__file__).parent / "prompts"

Use = Literal["retrieval", "similarity"]
Segmentation = Literal["unicode", "nltk"]
Mode = Literal[
    "first-token",
    "first-word-single",
    "multi-token-single",
    "multi-token-multi",
    "multi-word-multi",
]


@dataclass(frozen=True, slots=True)
class Template:
    """One role's wording: plain text around the slot, or a chat turn with a prefilled answer.

    Attributes:
        text: the user turn of a chat, or the whole plain prompt; holds `{text}` exactly once.
        system: system turn; only in a chat. Models without a system role get it in the user turn.
        prefill: how the assistant's answer begins; it is left open. Only in a chat.
        chat: whether the model's own chat template is put around the turns.
    """

    text: str
    system: str = ""
    prefill: str = ""
    chat: bool = False

    def __post_init__(self) -> None:
        if self.text.count(SLOT) != 1:
            raise ValueError(
                f"a template must hold {SLOT} exactly once; "
                f"this one holds it {self.text.count(SLOT)} times: {self.text[:80]!r}"
            )
        if not self.chat and (self.system or self.prefill):
            raise ValueError("system and prefill belong to a chat template: use user = ...")


@dataclass(frozen=True, slots=True)
class Form:
    """A query and a document template, and which models they suit.

    Attributes:
        name: shown to people, e.g. "llama-3".
        query: wording for queries.
        document: wording for documents.
        needs: "" suits every model; "chat" a tokenizer with a chat template; anything else is a
            token that the vocabulary must hold, e.g. "<|start_header_id|>".
    """

    name: str
    query: Template
    document: Template
    needs: str = ""

    def template(self, role: Role) -> Template:
        """Return the wording of a role."""
        return self.query if role is Role.QUERY else self.document


@dataclass(frozen=True, slots=True)
class SparseRules:
    """How next-token logits become weighted words (PromptReps, Zhuang et al., EMNLP 2024).

    Attributes:
        top: most terms of the text itself kept per row.
        words: "unicode" needs no data; "nltk" is the paper's exact form and needs punkt_tab data.
        stop_words: a list in embedder/stopwords, or "" for none.
        scale: weights become rint(scale * weight) as in the paper (100); 0 keeps them as they are.
        merge_forms: "what", "What" and " what" share one column, which takes the largest weight.
        expansion: terms from outside the text that are added, strongest first.
        fallback: terms taken from the whole vocabulary when a text has no content word.
    """

    top: int = 128
    words: Segmentation = "unicode"
    stop_words: str = "english"
    scale: int = 0
    merge_forms: bool = False
    expansion: int = 0
    fallback: int = 10

    def __post_init__(self) -> None:
        if self.words not in get_args(Segmentation):
            raise ValueError(f"sparse.words must be unicode or nltk; got {self.words!r}")
        if self.top < 1 or min(self.scale, self.expansion, self.fallback) < 0:
            raise ValueError("sparse.top must be at least 1; scale, expansion, fallback at least 0")


@dataclass(frozen=True, slots=True)
class Reading:
    """Which answers are read off the model, and where.

    Attributes:
        mode: "first-token" reads the last prompt token; the others generate greedily first
            (PromptReps, section "alternative representations").
        generated_tokens: most tokens that a generating mode reads.
        layer: hidden state read: -1 is after the final norm (what the LM head sees), 0 the
            embeddings, i the output of block i, -i counted from the end.
        dense: whether dense rows are wanted.
        sparse: rules for sparse rows, or None for no sparse rows.
    """

    mode: Mode = "first-token"
    generated_tokens: int = 10
    layer: int = -1
    dense: bool = True
    sparse: SparseRules | None = SparseRules()

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"read.mode must be one of {', '.join(get_args(Mode))}")
        if not self.dense and self.sparse is None:
            raise ValueError("a prompt must read dense rows, sparse rows or both; got neither")
        if self.generated_tokens < 1:
            raise ValueError(f"read.generated_tokens must be positive; got {self.generated_tokens}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """The whole model of a training-free embedder: wording and reading rules.

    Attributes:
        name: file-name-like label.
        forms: tried in order; the first whose need the model meets is used.
        reading: what is read off the model.
        description: one line for people.
        source: authors, venue, year; or whoever wrote it.
        use: what it is good for.
        fusion: how its rows are best fused with other channels, where that was measured, as
            retrieval writes it: "minmax:dense=0.2,sparse=0.2,bm25=0.6". Changes no vector.
    """

    name: str
    forms: tuple[Form, ...]
    reading: Reading = Reading()
    description: str = ""
    source: str = ""
    use: Use = "retrieval"
    fusion: str = ""

    def __post_init__(self) -> None:
        if not self.forms:
            raise ValueError(f"prompt {self.name!r} has no wording: give [query] and [document]")
        if self.use not in get_args(Use):
            raise ValueError(f"prompt {self.name!r}: use must be retrieval or similarity")

    @property
    def hash(self) -> str:
        """16 hex digits of everything that changes a vector; names and notes do not count."""
        facts = [[form.needs, asdict(form.query), asdict(form.document)] for form in self.forms]
        return content_hash([facts, asdict(self.reading)])

    def reading_only(self, *, dense: bool, sparse: bool) -> "Prompt":
        """Return the prompt with rows that nobody wants left out."""
        rules = self.reading.sparse if sparse else None
        if sparse and rules is None:
            raise ValueError(f"prompt {self.name!r} reads no sparse rows")
        return replace(self, reading=replace(self.reading, dense=dense, sparse=rules))

    @staticmethod
    def library() -> list[str]:
        """Return the names of the prompts that come with lastword."""
        return sorted(path.stem for path in LIBRARY.glob("*.toml"))

    @staticmethod
    def load(name: str | Path) -> "Prompt":
        """Read a library prompt by name, or a prompt file by a path that ends in .toml."""
        path = Path(name)
        if path.suffix != ".toml":
            if str(name) not in Prompt.library():
                near = difflib.get_close_matches(str(name), Prompt.library(), n=3, cutoff=0.4)
                known = ", ".join(near or Prompt.library())
                raise ValueError(
                    f"no prompt is called {str(name)!r}; nearest: {known} "
                    "(a prompt of your own is a path that ends in .toml)"
                )
            path = LIBRARY / f"{name}.toml"
        if not path.is_file():
            raise ValueError(f"no prompt file at {path}")
        return Prompt.from_toml(path.read_text(encoding="utf-8"), str(path))

    @staticmethod
    def from_toml(text: str, where: str = "prompt") -> "Prompt":
        """Parse a prompt; `where` is named in errors."""
        try:
            return _prompt(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, ValueError, TypeError, KeyError) as error:
            said = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"{where}: {said}") from error

    def to_toml(self) -> str:
        """Write the prompt so that `from_toml` gives an equal one."""
        lines = [_line(key, getattr(self, key)) for key in _NOTES]
        for form in self.forms:
            lines += ["", "[[form]]", _line("name", form.name), _line("needs", form.needs)]
            for role in Role:
                lines += ["", f"[form.{role.value}]", *_template_lines(form.template(role))]
        rules = self.reading.sparse
        lines += ["", "[read]"]
        for field in fields(Reading):
            if field.name != "sparse":
                lines.append(_line(field.name, getattr(self.reading, field.name)))
        lines += ["", "[sparse]", _line("enabled", rules is not None)]
        for key, value in asdict(rules or SparseRules()).items():
            lines.append(_line(key, value))
        return "\n".join(lines) + "\n"


def content_hash(facts: object) -> str:
    """Return 16 hex digits that stand for JSON-like facts."""
    data = json.dumps(facts, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def _prompt(data: dict[str, Any]) -> Prompt:
    given = data.pop("form", None)
    if given is None:
        given = [{"name": "own", "query": data.pop("query"), "document": data.pop("document")}]
    read = dict(data.pop("read", {}))
    sparse = dict(data.pop("sparse", {}))
    enabled = sparse.pop("enabled", True)
    rules = SparseRules(**_known(SparseRules, sparse, "sparse")) if enabled else None
    reading = Reading(**_known(Reading, read, "read"), sparse=rules)
    forms = tuple(_form(form) for form in given)
    return Prompt(**_known(Prompt, data, "the top level"), forms=forms, reading=reading)


def _form(data: Mapping[str, Any]) -> Form:
    return Form(
        name=data["name"],
        query=_template(data["query"], "query"),
        document=_template(data["document"], "document"),
        needs=data.get("needs", ""),
    )


def _template(data: Mapping[str, Any], role: str) -> Template:
    if ("user" in data) == ("template" in data):
        raise ValueError(f"[{role}] needs either template = (plain) or user = (chat)")
    extra = set(data) - ({"user", "system", "prefill"} if "user" in data else {"template"})
    if extra:
        raise ValueError(f"[{role}] does not know {', '.join(sorted(extra))}")
    if "user" in data:
        return Template(data["user"], data.get("system", ""), data.get("prefill", ""), chat=True)
    return Template(data["template"])


def _template_lines(template: Template) -> list[str]:
    if not template.chat:
        return [_line("template", template.text)]
    given = (("system", template.system), ("user", template.text), ("prefill", template.prefill))
    return [_line(key, value) for key, value in given]


def _known(kind: type, data: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = {field.name for field in fields(kind)} - {"forms", "reading", "sparse"}
    unknown = sorted(set(data) - names)
    if unknown:
        raise ValueError(
            f"{where} does not know {', '.join(unknown)}; it knows {', '.join(sorted(names))}"
        )
    return dict(data)


def _line(key: str, value: str | bool | int) -> str:
    # A JSON string of ASCII is a TOML basic string, but for the surrogate pairs, so keep Unicode.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
