"""Colorizing: networks, and the Colorizer that makes color photos by them."""
