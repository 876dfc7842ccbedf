"""Reads token ids and probabilities: reflection vocabulary, scores, segment tree, search, engine.

This package knows nothing of files, HTTP or retrievers: a passage is an opaque key and token ids.
It imports with only torch and transformers installed.
"""
