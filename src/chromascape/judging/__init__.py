"""Judging: how good a model is, always beside gray."""
