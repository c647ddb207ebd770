"""Requests + a model + an engine + meters -> the raw records of one run."""
