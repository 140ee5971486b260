"""Rows of texts for other programs, as two ecosystems ask for them.

messages.py   requests and answers
tokens.py     how long texts are for an encoder; token ids as text, texts cut at their beginning
encoders.py   the encoders that are served, and batches of texts as rows, equal to an index's own
reranking.py  batches of texts that are scored for queries
reading.py    from the inputs of a request to rows, read together with those of other clients
writing.py    dense rows as JSON
tei.py        the routes of text-embeddings-inference (Hugging Face)
openai.py     those of OpenAI
"""
