"""Encoders whose models run on the machines of a Ray cluster."""
