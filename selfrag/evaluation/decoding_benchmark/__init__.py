"""Self-RAG decoded by several engines side by side; `scripts/benchmark_decoding.py` runs it."""
