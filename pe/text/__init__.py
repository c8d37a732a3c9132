"""What is known about the text of prompts."""
