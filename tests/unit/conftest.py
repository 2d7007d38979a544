"""Settings that all unit tests share."""

from hypothesis import settings

# No deadline: a slow machine is no failure, and speed is measured in benchmarks/.
settings.register_profile("symir", deadline=None, print_blob=True)
settings.load_profile("symir")
