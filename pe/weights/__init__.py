"""Weights in every format that a T5 comes in: found, read, checked, written."""
