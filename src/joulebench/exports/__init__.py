"""Exports: tables and records to the outside. Parquet beside each CSV, a Hugging Face dataset, Weights & Biases."""
