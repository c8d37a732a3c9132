"""The dataset builder: from images or prompts to shards of pairs."""
