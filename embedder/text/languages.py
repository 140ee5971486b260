"""Languages by their ISO 639-1 codes, as people type them."""

from embedder.files.name_lists import first_repeated

LANGUAGES = {
    **{"ar": "arabic", "bg": "bulgarian", "bn": "bengali", "ca": "catalan", "ckb": "sorani"},
    **{"cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english"},
    **{"eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian"},
    **{"fi": "finnish", "fr": "french", "ga": "irish", "gl": "galician", "hi": "hindi"},
    **{"hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "ja": "japanese"},
    **{"ko": "korean", "lt": "lithuanian", "lv": "latvian", "ne": "nepali", "nl": "dutch"},
    **{"no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian"},
    **{"sr": "serbian", "st": "sesotho", "sv": "swedish", "ta": "tamil", "te": "telugu"},
    **{"th": "thai", "tr": "turkish", "uk": "ukrainian", "yi": "yiddish", "zh": "chinese"},
}
"""ISO code -> name; Sorani has no code of two letters."""


def language_name(language: str) -> str:
    """Return the name of a language that is given by its code; names are returned as they are."""
    return LANGUAGES.get(language.lower(), language)


def split_languages(text: str) -> list[str]:
    """Read one language, or several with commas between; return their names.

    Raises:
        ValueError: one of several is missing, comes twice, or has no code to be told by.
    """
    names = [language_name(part.strip()) for part in text.split(",")]
    if len(names) == 1:
        return names
    known = LANGUAGES.values()
    if (odd := next((name for name in names if name not in known), None)) is not None:
        raise ValueError(
            f"several languages are given by their ISO codes or names, as in 'de,en,fr'; "
            f"got {odd!r} in {text!r}"
        )
    if (twice := first_repeated(names)) is not None:
        raise ValueError(f"languages {text!r}: {twice} comes twice; give each once")
    return names
