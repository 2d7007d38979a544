"""A file that cannot be run."""

sites = 0
operator = 1 / sites
