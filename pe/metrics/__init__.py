"""Scores of finished things."""
