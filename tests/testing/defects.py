"""What a defect is: a provider with one fault, and the test of the contract that must find it."""

from __future__ import annotations

FOUND_BY: dict[type, str] = {}


def found_by(test):
    """Say which test must fail for the decorated provider."""

    def remember(provider):
        FOUND_BY[provider] = test
        return provider

    return remember
