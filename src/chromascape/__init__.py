"""Chromascape learns to colorize gray landscape photos, and colorizes yours."""

__version__ = "0.1.0"
