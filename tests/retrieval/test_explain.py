"""An explanation on the screen."""

from index.documents import Document
from retrieval.explain import ChannelPart, Explanation


def test_an_explanation_prints_as_a_table_that_cuts_nothing() -> None:
    """It was the repr of a dataclass."""
    name = "a-document-" + "x" * 100
    words = tuple((f"word{at}", 9.0 - at) for at in range(9))
    explanation = Explanation(
        "amber",
        Document(name, "Stones", "amber\n" * 100),
        12345.5,
        (
            ChannelPart("dense", 0.25, None, 0.0, (), None),
            ChannelPart("bm25", 12.5, 10, 12345.5, words, (0, 600)),
        ),
    )
    heading, text, columns, dense, bm25 = str(explanation).split("\n")
    assert heading == f"{name}: 12345.5000 for 'amber'"
    assert text.startswith("Stones amber amber") and text.endswith("…") and len(text) == 160
    assert columns == "channel    score  rank       share  words"
    assert dense == "dense     0.2500     -      0.0000  -"
    assert bm25.startswith("bm25     12.5000    10  12345.5000  word0 9.00, word1 8.00, ")
    assert bm25.endswith("word7 2.00, …")
    assert repr(explanation).startswith("Explanation(query='amber'")
