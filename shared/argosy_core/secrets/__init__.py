"""Secrets: values that a person keeps, that the host hands to the one place they are for, and that nobody else sees.

What is judged, hashed and logged is the placeholder ``{{secret:NAME}}``; the value is put in after the verdict, and
taken out of whatever comes back.
"""

from __future__ import annotations
