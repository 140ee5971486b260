"""Tasks that an encoder is judged on: retrieval, similarity, classification, MTEB."""
