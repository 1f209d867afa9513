"""How many inputs each fuzz test draws: a few among the other tests, 1,000 in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("KPLIB_FUZZ", "25")),
    deadline=None,  # the machine may be busy
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize="KPLIB_FUZZ" not in os.environ,
    print_blob=True,
)
