"""Serving: the model for other programs."""
