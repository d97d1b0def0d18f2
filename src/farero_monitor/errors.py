"""The ancestor of what an analysis ends with when it cannot be done; the text says why, in the user's words.

A program that tells people needs this one alone, and none of the modules that raise.
"""

from __future__ import annotations


class AnalysisError(Exception):
    """The analysis could not be done."""
