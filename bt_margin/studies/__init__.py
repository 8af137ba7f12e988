"""Loops over runs: one run, the same strategy under several margin settings, and why they part."""
