"""Where models come from: checkpoints on disk or from the hub, loaded through transformers."""
