"""The stages of a pipeline: what each needs, runs and tells."""
