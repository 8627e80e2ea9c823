"""The garbage collector of a long-lived server process."""

import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 50
"""Objects made before a look at the young ones, and how many such looks come before one at older ones."""


def settle() -> None:
    """Set the collector for a process that has made what it keeps: routes, models and statements are never looked at again.

    Without it, every few hundred objects of a request start a search through hundreds of thousands that never become garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
