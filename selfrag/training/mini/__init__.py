"""The embedded model: its facts, corpus, tokenizer and training examples."""
