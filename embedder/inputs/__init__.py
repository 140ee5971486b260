"""Prompt and tokenizer become token ids with marks; no torch, no model."""
