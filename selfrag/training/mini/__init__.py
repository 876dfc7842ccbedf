"""The embedded model: its facts, corpus, tokenizer, training examples and training."""
