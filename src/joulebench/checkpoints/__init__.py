"""A published model, as it comes: its tokenizer and chat template, and which of its files are its weights."""
