"""Indexes and encoders as parts of other libraries: `pip install "lastword[adapters]"`."""
