"""Networks. They know nothing of data, training or files."""
