"""Stands where PyInstaller changes `ctypes`: libraries are found as Python finds them, and nothing is imported."""


def install() -> None:
    """Do nothing."""
