"""The conformance kit for authors of storage plugins."""
