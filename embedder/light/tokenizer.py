"""A tokenizer.json with the calls of transformers' tokenizers that making inputs needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from embedder.checkpoints.model_folder import read_object

_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")
_MORE = ("chat_template", "add_bos_token", "add_eos_token", "extra_special_tokens")


class TokenizedBatch(dict[str, Any]):
    """What a call of a tokenizer returns: input_ids, and offset_mapping where it was asked for."""

    @property
    def input_ids(self) -> Any:  # noqa: ANN401
        """Ids of each text; of a text that was given alone, its ids."""
        return self["input_ids"]


class LightTokenizer:
    """A tokenizer that is all in its file, without a chat template; cuts as transformers has it.

    Attributes, as in transformers, are `name_or_path`, `is_fast`, `chat_template`, the special
    tokens and their ids, and `backend_tokenizer`.
    """

    is_fast = True
    chat_template = None

    def __init__(self, folder: Path) -> None:
        """Read tokenizer.json, and the names of special tokens in tokenizer_config.json.

        Raises:
            ValueError: there is more to the tokenizer, or it is damaged.
        """
        config = read_object(folder / "tokenizer_config.json")
        tokens = {name: config.get(name) for name in _NAMED}
        plain = all(isinstance(token, str) for token in tokens.values())
        if not plain or any(key in config for key in _MORE):
            raise ValueError(f"{folder}: its tokenizer is more than tokenizer.json says")
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the bindings raise it bare
            raise ValueError(f"{folder}: tokenizer.json is damaged") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.name_or_path = str(folder)
        self._special_tokens_map = {name: str(token) for name, token in tokens.items()}
        self.bos_token, self.eos_token, self.unk_token, _ = self._special_tokens_map.values()
        self.all_special_tokens = list(self._special_tokens_map.values())
        self.bos_token_id = self.convert_tokens_to_ids(self.bos_token)
        self.eos_token_id = self.convert_tokens_to_ids(self.eos_token)
        self.unk_token_id = self.convert_tokens_to_ids(self.unk_token)

    def __call__(
        self,
        texts: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        verbose: bool = True,
        return_offsets_mapping: bool = False,
    ) -> TokenizedBatch:
        """Cut one text, or several; `verbose` changes nothing."""
        batch = [texts] if isinstance(texts, str) else list(texts)
        cut = self._tokenizer.encode_batch(batch, add_special_tokens=add_special_tokens)
        output = TokenizedBatch(input_ids=[one.ids for one in cut])
        if return_offsets_mapping:
            output["offset_mapping"] = [one.offsets for one in cut]
        if isinstance(texts, str):
            return TokenizedBatch({name: values[0] for name, values in output.items()})
        return output

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """The tokenizer of the file."""
        return self._tokenizer

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Tokens beside the model's vocabulary, by id."""
        return dict(sorted(self._tokenizer.get_added_tokens_decoder().items()))

    def get_vocab(self) -> dict[str, int]:
        """Return all tokens with their ids."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        return vocabulary

    def convert_ids_to_tokens(self, token: int) -> str | None:
        """Return the token of an id."""
        name: str | None = self._tokenizer.id_to_token(token)
        return name

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """Return the id of a token."""
        number: int | None = self._tokenizer.token_to_id(token)
        return number

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Return the text of tokens."""
        return str(self._tokenizer.decoder.decode(tokens))
