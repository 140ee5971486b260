"""The study of prompts on SmolLM2-135M-Instruct: its wordings, its runs and its tables."""
