"""The bundled model read without torch, for whoever starts, asks little and ends."""
