"""Aligning an expander to an image model: expand, draw, score, keep what scores well, train on."""
