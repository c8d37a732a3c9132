"""Prompt expansion: short queries to detailed, different text-to-image prompts."""
