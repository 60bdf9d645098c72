"""Searches: sweeps, tunings and walk-forward choices over one ground."""
