"""Analyses that passes share: values, sites, ranges and functions of lanes."""
