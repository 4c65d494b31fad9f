"""Classes, grants and the files in which a person says what an agent may do."""

from __future__ import annotations
