"""From a trained model and a query to tokens."""
