"""An index in a collection of Milvus: pushed there, and searched there like one in a folder.

Entities are rows: entity ROW:ID has the row of every channel, a piece of the document's text, its
title and metadata, and a digest of all that, by which a push knows what is there already.
"""
