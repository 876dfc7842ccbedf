"""Generators: training data by the paper's procedure, and training on it."""
