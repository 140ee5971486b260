"""What is done to a text before it goes into a prompt (pure functions)."""


def sts(sentence: str) -> str:
    """Return a sentence as the STS code of the PromptEOL family feeds it.

    A full stop is added unless the last character is one of . ? " '; every double quote becomes
    a single one, since the prompt quotes the sentence; a question mark at the end becomes a full
    stop. Source: kongds/scaling_sentemb (Jiang et al., Findings of EMNLP 2024), kept by MetaEOL,
    Token Prepending and Contrastive Prompting.
    """
    if sentence and sentence[-1] not in ".?\"'":
        sentence += "."
    sentence = sentence.replace('"', "'")
    return sentence[:-1] + "." if sentence.endswith("?") else sentence
