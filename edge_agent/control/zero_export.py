"""Keeps a site from exporting: from what the meter sees now to the limit that the inverter is given. Pure.

What the inverter may produce is what the site uses: its own output and what comes from the grid, less a margin that is always imported,
because a load that switches off is seen only at the next reading. The limit falls at once and rises slowly. Without a fresh meter there
is no loop: the inverter gets the fall-back limit until the meter has been back for a while.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

FULL_PERCENT = 100.0


class Why(StrEnum):
    """The reason for a limit, for the event log and the local page."""

    HELD = "held"
    """The present limit fits, or the change is too small to be worth a write."""
    LOWERED = "lowered"
    RAISED = "raised"
    METER_LOST = "meter_lost"
    """No reading of the meter that is young enough: the fall-back limit holds."""
    METER_UNPROVEN = "meter_unproven"
    """The meter is back, but not for long enough to be trusted."""


@dataclass(frozen=True, slots=True)
class ZeroExportSettings:
    """How a site's export is kept away.

    Attributes:
        rated_kw: AC power of the inverter at a limit of 100 %.
        import_margin_kw: imported at least, so that small changes do not become export.
        raise_percent_per_s: how fast the limit may rise; falling has no limit.
        least_change_percent: smaller rises are not written.
        meter_max_age_s: a reading of the meter that is older is no reading.
        meter_proof_s: how long a meter that was lost must be back before it is followed again.
        fallback_percent: the limit without a meter; 0 = no production.
    """

    rated_kw: float
    import_margin_kw: float = 0.05
    raise_percent_per_s: float = 2.0
    least_change_percent: float = 1.0
    meter_max_age_s: float = 5.0
    meter_proof_s: float = 30.0
    fallback_percent: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would make no loop.

        Raises:
            ValueError: naming the field and the value.
        """
        for name in ("rated_kw", "raise_percent_per_s", "meter_max_age_s"):
            if not (math.isfinite(value := getattr(self, name)) and value > 0):
                raise ValueError(f"{name} is {value}; it must be above 0")
        for name in ("import_margin_kw", "least_change_percent", "meter_proof_s"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise ValueError(f"{name} is {value}; it must not be negative")
        if not 0 <= self.fallback_percent <= FULL_PERCENT:
            raise ValueError(f"fallback_percent is {self.fallback_percent}; it must be between 0 and 100")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at one step.

    Attributes:
        grid_kw: at the meter, import positive; None if it gave no number.
        meter_age_s: how old that is.
        inverter_kw: what the inverter delivers; None if it did not say.
        elapsed_s: since the step before.
    """

    grid_kw: float | None
    meter_age_s: float
    inverter_kw: float | None
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Loop:
    """Where the loop stands.

    Attributes:
        limit_percent: given to the inverter last.
        meter_back_s: for how long the meter has been there again since it was lost; None while it is lost.
        why: of the limit.
    """

    limit_percent: float
    meter_back_s: float | None = None
    why: Why = Why.METER_LOST


def begin(settings: ZeroExportSettings) -> Loop:
    """A loop that has seen nothing yet: the fall-back limit holds until the meter has proven itself."""
    return Loop(settings.fallback_percent)


def step(loop: Loop, seen: Seen, settings: ZeroExportSettings) -> Loop:
    """The next limit."""
    if seen.grid_kw is None or not math.isfinite(seen.grid_kw) or not seen.meter_age_s <= settings.meter_max_age_s:
        return Loop(settings.fallback_percent, None, Why.METER_LOST)
    back_s = 0.0 if loop.meter_back_s is None else loop.meter_back_s + seen.elapsed_s
    if back_s < settings.meter_proof_s:
        limit = min(settings.fallback_percent, _allowed_percent(loop, seen, seen.grid_kw, settings))
        return Loop(limit, back_s, Why.METER_UNPROVEN)
    allowed = _allowed_percent(loop, seen, seen.grid_kw, settings)
    if allowed < loop.limit_percent:
        return Loop(allowed, back_s, Why.LOWERED)
    if seen.grid_kw <= settings.import_margin_kw:
        # Nothing is imported that it could replace: it delivers more than its limit, which it has not followed yet.
        return Loop(loop.limit_percent, back_s, Why.HELD)
    raised = min(allowed, loop.limit_percent + settings.raise_percent_per_s * seen.elapsed_s)
    is_small = raised - loop.limit_percent < settings.least_change_percent
    if is_small and not (raised == FULL_PERCENT > loop.limit_percent):
        return Loop(loop.limit_percent, back_s, Why.HELD)
    return Loop(raised, back_s, Why.RAISED)


def _allowed_percent(loop: Loop, seen: Seen, grid_kw: float, settings: ZeroExportSettings) -> float:
    """The highest limit at which nothing would be exported now."""
    spare_kw = grid_kw - settings.import_margin_kw
    if seen.inverter_kw is None:
        # It cannot deliver more than its limit: from there only downwards.
        delivered_kw = loop.limit_percent / FULL_PERCENT * settings.rated_kw
        spare_kw = min(spare_kw, 0.0)
    else:
        delivered_kw = max(seen.inverter_kw, 0.0)
    allowed = (delivered_kw + spare_kw) / settings.rated_kw * FULL_PERCENT
    return min(max(allowed, 0.0), FULL_PERCENT)
