"""Fewer readings that tell the same energy. Pure.

When the disk quota is reached, old readings are thinned, not dropped: of each device and bucket of time there remain the first
and the last reading with their counters as they were, and the moments around a counter that fell (a new day, a reset). Gauges
become their mean over the bucket, kept with the last reading.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from statistics import fmean
from uuid import UUID

from edge_agent.store.payload import Sample
from shared.enums import Quality
from shared.metrics import MetricKind, UnknownMetricError, metric_of
from shared.readings import Value


@cache
def _is_gauge(key: str) -> bool:
    """Whether a mean may stand for several values; an unknown quantity is kept as carefully as a counter."""
    try:
        return metric_of(key).kind is MetricKind.GAUGE
    except UnknownMetricError:
        return False


@cache
def _is_counter(key: str) -> bool:
    try:
        return metric_of(key).kind in (MetricKind.COUNTER, MetricKind.DAILY_COUNTER)
    except UnknownMetricError:
        return False


def thin(samples: Iterable[Sample], *, bucket_ms: int, offset_ms: int = 0) -> list[Sample]:
    """Thin the samples of one boot.

    Args:
        samples: in any order.
        bucket_ms: length of a bucket; buckets are aligned to multiples of it in Unix time.
        offset_ms: Unix time of the boot's monotonic zero.

    Returns:
        What remains, ordered by moment. Thinning it again with the same bucket changes nothing.
    """
    groups: dict[tuple[UUID, int, bool], list[Sample]] = {}
    for sample in sorted(samples, key=lambda each: each.mono_ms):
        bucket = (sample.mono_ms + offset_ms) // bucket_ms
        groups.setdefault((sample.device_id, bucket, _is_silence(sample)), []).append(sample)
    kept: list[Sample] = []
    for (_, _, silent), group in groups.items():
        kept.extend(group[:1] if silent else _thin_bucket(group))
    return sorted(kept, key=lambda each: each.mono_ms)


def _is_silence(sample: Sample) -> bool:
    return bool(sample.quality & Quality.LINK_DOWN)


def _thin_bucket(group: Sequence[Sample]) -> list[Sample]:
    edges = _edges(group)
    if len(edges) == len(group):
        return list(group)
    last = len(group) - 1
    quality = Quality.THINNED
    for sample in group:
        quality |= sample.quality
    return [
        Sample(
            device_id=group[index].device_id,
            mono_ms=group[index].mono_ms,
            values=_summary(group) if index == last else _without_gauges(group[index]),
            quality=quality,
        )
        for index in edges
    ]


def _edges(group: Sequence[Sample]) -> list[int]:
    """Indices of the readings whose counters must remain: first, last, and both sides of every fall."""
    edges = {0, len(group) - 1}
    seen: dict[str, tuple[int, float]] = {}
    for index, sample in enumerate(group):
        for key, value in sample.values.items():
            if not isinstance(value, (int, float)) or not _is_counter(key):
                continue
            if key in seen and value < seen[key][1]:
                edges.update((seen[key][0], index))
            elif key not in seen:
                edges.add(index)
            seen[key] = (index, value)
    edges.update(index for index, _ in seen.values())
    return sorted(edges)


def _without_gauges(sample: Sample) -> dict[str, Value]:
    return {key: value for key, value in sample.values.items() if not _is_gauge(key)}


def _summary(group: Sequence[Sample]) -> dict[str, Value]:
    """The last reading's counters and states, and the mean of every gauge that any reading had."""
    values = dict(group[-1].values)
    for key in dict.fromkeys(key for sample in group for key in sample.values if _is_gauge(key)):
        known = [value for sample in group if isinstance(value := sample.values.get(key), (int, float))]
        values[key] = round(fmean(known), 4) if known else None
    return values
