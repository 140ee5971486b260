"""Exact search of dense rows, of which float16 and int8 ones take fewer bytes."""
