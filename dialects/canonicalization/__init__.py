"""Rewrite patterns that the ops of a dialect offer to the `canonicalize` pass."""
