from stores import *  # noqa: F403  # the fixtures
