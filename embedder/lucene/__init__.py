"""Lucene through its Java classes: the virtual machine, and Anserini's analyzers."""
