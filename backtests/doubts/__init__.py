"""Doubts: a run played again with one thing changed."""
