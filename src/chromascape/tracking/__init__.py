"""Tracking: all of MLflow, and no torch."""
