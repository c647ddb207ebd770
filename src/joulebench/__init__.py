"""Joulebench: an energy leaderboard for generative-AI inference that anyone can rebuild."""

__version__ = "0.1.0"
