from small_sweep import *  # noqa: F403  # the fixtures
from stores import *  # noqa: F403
