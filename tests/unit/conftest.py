"""Settings that all unit tests share."""

import os

from hypothesis import settings

# No deadline: a slow machine is no failure, and speed is measured in benchmarks/.
# Where CI is set the examples are the same in every run: a build that fails can be
# repeated, and new examples are tried wherever else the tests run.
settings.register_profile(
    "symir", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("symir")
