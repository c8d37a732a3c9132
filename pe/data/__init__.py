"""From shards of pairs to batches of tokens."""
