"""Texts and pairs that models are trained on."""
