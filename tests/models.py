"""Make small real models of several shapes, with a real tokenizer, for tests."""

from collections.abc import Sequence
from pathlib import Path

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import load_encoder
from embedder.models.loading import LLMOptions
from embedder.prompts.prompt import Prompt

LINES = [
    "What is the capital of France? Paris is the capital and the largest city of France.",
    "The word is: retrieval. Passage and query are represented by one word in lowercase.",
    "Volcanoes erupt when magma rises; the lava flows down and cools into black rock.",
    "def remove_duplicates(items): return list(dict.fromkeys(items))",
    "Don't panic: l'eau est froide, e\u0301t\u00e9 comme hiver. 3.14 and 1,000 numbers.",
]
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SPECIALS = ["<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]


def save_tokenizer(folder: Path, chat: bool = True, bos: bool = True) -> int:
    """Train and save a byte-level BPE tokenizer; return its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(LINES, trainer)
    if bos:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 0)]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    tokenizer.chat_template = CHAT if chat else None
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def save_llama(
    folder: Path, seed: int = 0, chat: bool = True, bos: bool = True, nan: bool = False
) -> Path:
    """Save a random Llama of 3 layers and width 32; `nan` spoils a weight."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=save_tokenizer(folder, chat, bos),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config)
    if nan:
        with torch.no_grad():
            model.model.norm.weight[0] = float("nan")
    model.save_pretrained(folder)
    return folder


def load_llm(
    model: str | Path,
    prompt: Prompt | None = None,
    options: LLMOptions | None = None,
    channels: Sequence[str] | None = None,
) -> LLMEncoder:
    """Load a model under a prompt that neither adapts nor rewrites."""
    encoder = load_encoder(model, prompt, options, channels)
    assert isinstance(encoder, LLMEncoder)
    return encoder
