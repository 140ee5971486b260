"""What a search tries first: words of other prompts, in the place of the default's."""

from dataclasses import replace

from embedder.prompts.files import parse_prompt
from embedder.types import Role
from tuning.first_prompts import _with_task, first_proposals, worded_as
from tuning.search.space import Space

PLAIN = parse_prompt("""
name = "plain"
[query]
template = 'Query: "{text}" Word: "'
[document]
template = 'Passage: "{text}" Word: "'
""")
CHAT = parse_prompt("""
name = "chat"
task = "Find what a question asks for."
[query]
user = "{task} {text}"
prefill = "The word is:"
[document]
user = "{text}"
prefill = "The word is:"
""")
ECHO = parse_prompt("""
name = "echo"
[both]
template = "Rewrite {text}, rewritten: {text}"
""")


def query(prompt: object) -> list[str]:
    return [template.text for template in prompt.forms[0].query]  # type: ignore[attr-defined]


def test_words_of_a_chat_and_a_task_are_taken() -> None:
    """Half of the library was passed over, among it what instruction models were trained with."""
    space = Space(PLAIN)
    worded = worded_as(space, CHAT)
    assert query(worded) == ["Find what a question asks for. {text}\nThe word is:"]
    spelt = _with_task(CHAT)
    assert query(spelt) == ["Find what a question asks for. {text}"]
    turned = worded_as(Space(spelt), PLAIN)
    assert turned is not None and query(turned) == ['Query: "{text}" Word: "']
    assert turned.forms[0].query[0].chat and turned.forms[0].query[0].prefill == "The word is:"
    assert worded_as(space, ECHO) is None


def test_of_a_default_of_two_wordings_one_is_replaced() -> None:
    """A single wording lacks what the mean of two has, whatever it says."""
    form = PLAIN.forms[0]
    second = replace(form.query[0], text='Query: "{text}" Keywords: "')
    both = replace(PLAIN, forms=(replace(form, query=(*form.query, second)),))
    space = Space(both)
    wordings = [query(proposal.prompt) for proposal in first_proposals(space, [("chat", CHAT)])]
    new = "Find what a question asks for. {text}\nThe word is:"
    assert [new] in wordings and [new, second.text] in wordings
    more = space.extended(both, "Listen.", "Now:")
    assert query(more) == [
        'Listen. Query: "{text} Now:" Word: "', 'Listen. Query: "{text} Now:" Keywords: "',
    ]  # fmt: skip
    assert more.forms[0].document == form.document
    assert space.around(both, Role.QUERY).before == 'Query: "'
