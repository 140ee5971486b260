"""Languages by their ISO 639-1 codes, as people type them."""

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
