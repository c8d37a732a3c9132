"""How a stage of the builder (or of re-fine-tuning) is run."""
