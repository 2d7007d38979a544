"""Bridges to other libraries, each library imported only where it is in use."""
