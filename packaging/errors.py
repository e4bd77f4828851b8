"""The one error of the build."""

__all__ = ["BuildError"]


class BuildError(Exception):
    """Something that the build needs is not there, or not known; the message says what, and what to do."""
