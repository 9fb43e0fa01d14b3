"""What holds for every test: a law of Hypothesis is not broken by a machine that is busy."""

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
