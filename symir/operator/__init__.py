"""Operators as IR: spaces, the `sym` level as a value, and its algebra."""
