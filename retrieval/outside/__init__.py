"""Channels outside of an index: they rank its documents by id, from data of another program."""
