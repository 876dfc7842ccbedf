"""Training: loss masks, the embedded model and the embedded encoder.

Imports with torch and transformers alone, so that it runs on a training machine.
"""
