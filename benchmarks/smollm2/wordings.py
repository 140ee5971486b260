"""Forty-six wordings of a query, as users might write them; all were judged, none was dropped."""

from dataclasses import dataclass

SYSTEM = "You are an AI assistant that can understand human language."
PREFILL = 'The word is "'
_ONE_WORD = "Use one word to represent the {kind} in a retrieval task."
_LOWERCASE = "Make sure your word is in lowercase."


@dataclass(frozen=True, slots=True)
class Wording:
    """A chat turn that asks for a word.

    Attributes:
        user: with {text} in it.
        prefill: what the answer begins with.
        system: the system turn; None sends none.
    """

    user: str
    prefill: str = PREFILL
    system: str | None = SYSTEM


def one_word(kind: str) -> str:
    """Return PromptReps' question for one word (Zhuang et al., EMNLP 2024)."""
    return f'{kind.capitalize()}: "{{text}}". {_ONE_WORD.format(kind=kind)} {_LOWERCASE}'


def ask(task: str) -> str:
    """Return a user's turn that shows a query before what is to be done with it."""
    return f'Query: "{{text}}". {task}'


BASE = Wording(one_word("query"))
QUERY_WORDINGS = {
    "base": BASE,
    "no-system": Wording(one_word("query"), system=None),
    "empty-system": Wording(one_word("query"), system=""),
    "search-engine-system": Wording(one_word("query"), system="You are a search engine."),
    "librarian-system": Wording(
        one_word("query"),
        system="You are a librarian who knows the subject headings of every field.",
    ),
    "scientist-system": Wording(one_word("query"), system="You are a scientist."),
    "no-lowercase": Wording(ask("Use one word to represent the query in a retrieval task.")),
    "no-task": Wording(
        ask("Use one word to represent the query. Make sure your word is in lowercase."),
    ),
    "question": Wording(one_word("question")),
    "passage": Wording(one_word("passage")),
    "text": Wording(one_word("text")),
    "sentence": Wording(
        'Sentence: "{text}". Use one word to represent the sentence. Make sure your word '
        "is in lowercase.",
    ),
    "document-wanted": Wording(
        ask(
            "Use one word to represent a document that answers the query. Make sure your "
            "word is in lowercase."
        ),
    ),
    "answer": Wording(
        ask("Answer the query in one word. Make sure your word is in lowercase."),
        prefill='The answer is "',
    ),
    "answer-word": Wording(
        ask("Answer the query in one word. Make sure your word is in lowercase."),
    ),
    "topic": Wording(
        ask("What is the topic of the query in one word? Make sure your word is in lowercase."),
        prefill='The topic is "',
    ),
    "subject": Wording(
        ask("Name the subject of the query in one word."),
        prefill='The subject is "',
    ),
    "keyword": Wording(
        ask("Give one keyword for the query. Make sure your keyword is in lowercase."),
        prefill='The keyword is "',
    ),
    "keyword-search": Wording(
        ask(
            "Give the one keyword that finds relevant documents. Make sure your keyword is "
            "in lowercase."
        ),
        prefill='The keyword is "',
    ),
    "important": Wording(
        ask("What is the most important word of the query? Make sure your word is in lowercase."),
        prefill='The most important word is "',
    ),
    "rarest": Wording(
        ask("What is the most specific word of the query? Make sure your word is in lowercase."),
        prefill='The most specific word is "',
    ),
    "missing": Wording(
        ask(
            "Which word is not in the query but in the documents that answer it? Make sure "
            "your word is in lowercase."
        ),
    ),
    "synonym": Wording(
        ask(
            "Give one word with the same meaning as the query. Make sure your word is in lowercase."
        ),
    ),
    "summarise": Wording(
        'Summarize the query "{text}" in one word. Make sure your word is in lowercase.',
    ),
    "summarise-short": Wording('Summarize in one word: "{text}"'),
    "means": Wording('This query: "{text}" means in one word:'),
    "means-bare": Wording('This query: "{text}" means in one word:"', prefill=""),
    "category": Wording(
        ask("To which category does the query belong? Answer in one word, in lowercase."),
        prefill='The category is "',
    ),
    "field": Wording(
        ask("Which field of science is the query about? Answer in one word, in lowercase."),
        prefill='The field is "',
    ),
    "title": Wording(
        ask("Write the title of a document that answers the query."),
        prefill='Title: "',
    ),
    "begin-document": Wording(ask("Write a passage that answers the query."), prefill='Passage: "'),
    "begin-abstract": Wording("Write the abstract of a paper about: {text}", prefill="Abstract: "),
    "three-words": Wording(
        ask(
            "Use three words to represent the query in a retrieval task. Make sure your "
            "words are in lowercase and split them by space."
        ),
        prefill='The words are: "',
    ),
    "five-words": Wording(
        ask(
            "Use five words to represent the query in a retrieval task. Make sure your "
            "words are in lowercase."
        ),
        prefill='The words are: "',
    ),
    "index-term": Wording(
        ask(
            "Under which index term would a librarian file documents on this? One word, in "
            "lowercase."
        ),
        prefill='The index term is "',
    ),
    "think": Wording(
        ask(
            "Think about what the searcher wants to find, then use one word to represent "
            "it. Make sure your word is in lowercase."
        ),
        prefill='After thinking step by step, the word is "',
    ),
    "essence": Wording(
        'The essence of a query is its main subject. Query: "{text}". Give its essence in '
        "one word, in lowercase.",
        prefill='The essence is "',
    ),
    "please": Wording(
        "Please use one word to represent the following query in a retrieval task: {text}",
    ),
    "text-last": Wording(
        "Use one word to represent the query in a retrieval task. Make sure your word is "
        'in lowercase. Query: "{text}"',
    ),
    "text-twice": Wording(
        ask(
            'Query again: "{text}". Use one word to represent the query in a retrieval '
            "task. Make sure your word is in lowercase."
        ),
    ),
    "no-quotes": Wording(
        "Query: {text}\nUse one word to represent the query in a retrieval task. Make sure "
        "your word is in lowercase.",
    ),
    "no-prefill": Wording(one_word("query"), prefill=""),
    "prefill-colon": Wording(one_word("query"), prefill='The word is: "'),
    "prefill-word": Wording(one_word("query"), prefill='Word: "'),
    "prefill-quote": Wording(one_word("query"), prefill='"'),
    "prefill-space": Wording(one_word("query"), prefill="The word is"),
}
