"""The prompts of the study: one file each in a folder, so that commands take them by path."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.smollm2.wordings import BASE, QUERY_WORDINGS, Wording, one_word
from embedder.prompts.files import format_prompt, load_prompt, parse_prompt
from embedder.prompts.prompt import Prompt

_HEADER = 'name = "{name}"\ndescription = "{description}"\nsource = "lastword"\nuse = "retrieval"\n'
_WORDS = " Use three words to represent the {kind} in a retrieval task."
_WORDS += " Make sure your words are in lowercase and split them by space."
_INSTRUCTION = "Instruct: Given a search query, retrieve relevant passages that answer the query"
MODES = ("first-word-single", "multi-token-single", "multi-token-multi", "multi-word-multi")
SPARSE_RULES = {
    "expansion-20": "expansion = 20",
    "expansion-50": "expansion = 50",
    "expansion-128": "expansion = 128",
    "merged": "merge_forms = true",
    "merged-expansion-50": "merge_forms = true\nexpansion = 50",
    "top-32": "top = 32",
    "top-64": "top = 64",
    "top-512": "top = 512",
    "no-stop-words": 'stop_words = ""',
}
"""Rules of sparse rows beside PromptReps' own."""

ENDINGS = {
    "word": 'Word: "',
    "keyword": 'Keyword: "',
    "keywords": 'Keywords: "',
    "topic": 'Topic: "',
    "subject": 'Subject: "',
    "category": 'Category: "',
    "title": 'Title: "',
    "in-one-word": 'In one word: "',
    "about": 'This is about "',
    "questions": 'It answers questions about "',
}
"""What may follow a text whose task stands before it."""


def write_prompts(prompts: Iterable[Prompt], folder: Path) -> list[str]:
    """Write prompts to NAME.toml in a folder; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for prompt in prompts:
        path = folder / f"{prompt.name}.toml"
        path.write_text(format_prompt(prompt), encoding="utf-8")
        paths.append(str(path))
    return paths


def query_wordings() -> Iterator[Prompt]:
    """Yield PromptReps with other wordings of the query; the first is PromptReps."""
    for name, wording in QUERY_WORDINGS.items():
        yield chat_prompt(f"query-{name}", wording, Wording(one_word("passage")))


def pair_wordings() -> Iterator[Prompt]:
    """Yield wordings that change for both roles, or that keep no chat template."""

    def both(name: str, task: str, prefill: str) -> Prompt:
        query, passage = (
            Wording(f'{kind.capitalize()}: "{{text}}". {task.format(kind=kind)}', prefill)
            for kind in ("query", "passage")
        )
        return chat_prompt(name, query, passage)

    keyword = "Give one keyword for the {kind}. Make sure your keyword is in lowercase."
    topic = "What is the topic of the {kind} in one word? Make sure your word is in lowercase."
    yield both("keyword", keyword, 'The keyword is "')
    yield both("topic", topic, 'The topic is "')
    yield both("subject", "Name the subject of the {kind} in one word.", 'The subject is "')
    yield both("three-words", _WORDS.strip(), 'The words are: "')
    yield chat_prompt(
        "title",
        Wording(
            'Query: "{text}". Write the title of a document that answers the query.', 'Title: "'
        ),
        Wording('Passage: "{text}". Write the title of the passage.', 'Title: "'),
    )
    question = 'Passage: "{text}". Use one word to represent a question that the passage answers.'
    question += " Make sure your word is in lowercase."
    yield chat_prompt("question", BASE, Wording(question))
    yield chat_prompt("text-alike", Wording(one_word("text")), Wording(one_word("text")))
    query, passage = (Wording(one_word(kind), system=None) for kind in ("query", "passage"))
    yield chat_prompt("no-system", query, passage)
    task = "Use one word in lowercase to represent the {kind} in a retrieval task."
    yield plain_prompt(
        "plain",
        *(
            f'{task.format(kind=kind)} {kind.capitalize()}: "{{text}}" Word: "'
            for kind in ("query", "passage")
        ),
    )
    eol = 'This {kind} : "{{text}}" means in one word:"'
    sentence = eol.format(kind="sentence")
    yield plain_prompt("eol", sentence, sentence, tokens="whole")
    query_eol, passage_eol = (eol.format(kind=kind) for kind in ("query", "passage"))
    yield plain_prompt("eol-roles", query_eol, passage_eol, tokens="whole")


def ending_prompts() -> Iterator[Prompt]:
    """Yield PromptReps' plain form step by step to what smollm2 does, then with other endings."""
    yield _plain_word("plain-raw", ENDINGS["word"], "")
    yield _plain_word("plain-centred", ENDINGS["word"], "[post]\nwhiten = false\n")
    for name, ending in ENDINGS.items():
        yield _plain_word(f"plain-{name}", ending, "[post]\n")


def _plain_word(name: str, ending: str, post: str) -> Prompt:
    task = "Use one word in lowercase to represent the {kind} in a retrieval task."
    query, passage = (
        f'{task.format(kind=kind)} {kind.capitalize()}: "{{text}}" {ending}'
        for kind in ("query", "passage")
    )
    return plain_prompt(name, query, passage, f"[sparse]\nenabled = false\n\n{post}")


def instruction_prompts() -> Iterator[Prompt]:
    """Yield an instruction before queries, as trained embedders have it (E5-mistral, ACL 2024)."""
    query = f"{_INSTRUCTION}\nQuery: {{text}}"
    yield plain_prompt("instruction-last", query, "{text}", "[sparse]\nenabled = false\n")
    mean = '[read]\nspan = "text"\npool = "mean"\n\n[sparse]\nenabled = false\n'
    yield plain_prompt("instruction-mean", query, "{text}", mean)


def generating_prompts() -> Iterator[Prompt]:
    """Yield PromptReps' generating modes, on the chat template of the model."""
    prefill = 'The words are: "'
    three = {
        kind: Wording(f'{kind.capitalize()}: "{{text}}".{_WORDS.format(kind=kind)}', prefill)
        for kind in ("query", "passage")
    }
    one = {kind: Wording(one_word(kind)) for kind in three}
    for mode in MODES:
        sides = one if mode == "first-word-single" else three
        yield chat_prompt(mode, sides["query"], sides["passage"], f'[read]\nmode = "{mode}"\n')


def sparse_prompts() -> Iterator[Prompt]:
    """Yield PromptReps with other rules of sparse rows."""
    for name, rules in SPARSE_RULES.items():
        yield chat_prompt(name, BASE, Wording(one_word("passage")), f"[sparse]\n{rules}\n")


def layer_prompts(layers: Iterable[int]) -> Iterator[Prompt]:
    """Yield PromptReps' dense rows at the output of other blocks than the last."""
    for layer in layers:
        rules = f"[read]\nlayer = {layer}\n\n[sparse]\nenabled = false\n"
        yield chat_prompt(f"block-{layer}", BASE, Wording(one_word("passage")), rules)


def read_at(name: str, layers: Iterable[int]) -> Iterator[Prompt]:
    """Yield a prompt of the library read at the output of other blocks."""
    prompt = load_prompt(name)
    for layer in layers:
        reading = replace(prompt.reading, layer=layer)
        yield replace(prompt, name=f"{name}-{layer}", reading=reading)


def contrast_prompts(name: str, depths: Iterable[tuple[int, float, int]]) -> Iterator[Prompt]:
    """Yield a Contrastive Prompting prompt of the library: other block, strength and layer."""
    prompt = load_prompt(name)
    assert prompt.contrast is not None
    for block, strength, layer in depths:
        yield replace(
            prompt,
            name=f"{name}-{block}-x{strength:g}-{layer}",
            reading=replace(prompt.reading, layer=layer),
            contrast=replace(prompt.contrast, block=block, strength=strength),
        )


def prepending_prompts(
    name: str, spans: Iterable[tuple[int, int]], layers: Iterable[int]
) -> Iterator[Prompt]:
    """Yield a Token Prepending prompt of the library with other depths."""
    prompt = load_prompt(name)
    assert prompt.prepend is not None
    for start, exit_block in spans:
        for layer in layers:
            yield replace(
                prompt,
                name=f"{name}-{start}-{exit_block}-{layer}",
                reading=replace(prompt.reading, layer=layer),
                prepend=replace(prompt.prepend, start=start, exit=exit_block),
            )


def chat_prompt(name: str, query: Wording, document: Wording, rules: str = "") -> Prompt:
    """Make a prompt of two chat turns."""
    sides = {"query": query, "document": document}
    forms = "".join(f"\n[form.{role}]\n{_turns(wording)}" for role, wording in sides.items())
    header = _HEADER.format(name=name, description="a variant of promptreps")
    text = f'{header}\n[[form]]\nname = "chat"\nneeds = "chat"\n{forms}\n{rules}'
    return parse_prompt(text, name)


def plain_prompt(
    name: str, query: str, document: str, rules: str = "", tokens: str = "pieces"
) -> Prompt:
    """Make a prompt of two plain templates."""
    header = _HEADER.format(name=name, description="a variant without a chat template")
    sides = "".join(
        f"\n[{role}]\ntemplate = '''{template}'''\ntokens = \"{tokens}\"\n"
        for role, template in (("query", query), ("document", document))
    )
    return parse_prompt(f"{header}{sides}\n{rules}", name)


def _turns(wording: Wording) -> str:
    turns = {"system": wording.system, "user": wording.user, "prefill": wording.prefill}
    return "".join(f"{key} = '''{turn}'''\n" for key, turn in turns.items() if turn is not None)
