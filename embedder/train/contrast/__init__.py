"""Fine-tuning of a model on pairs of texts."""
