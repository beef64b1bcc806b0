"""Settings that every test shares: how hard hypothesis looks for a counter-example."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: the first example of a kind compiles its function, which says nothing about its speed.
settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=False,
    print_blob=True,  # so that a failure seen once can be replayed anywhere
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
