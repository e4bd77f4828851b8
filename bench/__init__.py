"""Measures the supervisor beside its peers, in one run: `python -m bench` from the repository root."""
