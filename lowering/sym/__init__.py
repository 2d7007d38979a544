"""Passes on `sym`: normal form, guards, and terms that become one."""
