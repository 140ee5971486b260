"""Servers that embed texts, asked over HTTP."""
