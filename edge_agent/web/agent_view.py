"""The running agent as the local page sees it."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import fmean
from uuid import UUID

from edge_agent.alerting import Alerting
from edge_agent.clock import Clock
from edge_agent.poller import LiveDevice, Poller
from edge_agent.store.boots import Timeline
from edge_agent.store.buffer import Buffer
from edge_agent.store.file import StoreFile
from edge_agent.store.minutes import MinutePoint, read_minutes
from edge_agent.store.outbox import oldest_at
from edge_agent.store.status import store_bytes
from edge_agent.store.today import Today
from edge_agent.supervise import Progress
from edge_agent.sync.session import SyncState
from edge_agent.web.flow import feeds_battery, power_flow
from edge_agent.web.view import (
    AlertView,
    BufferView,
    ChartSeries,
    DeviceView,
    DiskView,
    Snapshot,
    TodayEnergy,
)
from edge_agent.web.view import SyncState as ShownState
from shared.enums import DeviceType
from shared.wire import EdgePlan, PlanDevice

STALE_POLLS = 3
"""A value that was not renewed for this many polls no longer tells what is now."""

STEP_S = 300
STEPS = 24 * 3600 // STEP_S

Series = Mapping[tuple[UUID, str], Sequence[MinutePoint]]


class AgentView:
    """Implements `edge_agent.web.view.LocalView`."""

    def __init__(
        self,
        *,
        plan: EdgePlan | None,
        clock: Clock,
        store: StoreFile,
        timeline: Timeline,
        buffer: Buffer,
        poller: Poller,
        alerting: Alerting,
        sync: SyncState,
        today: Today,
        progress: Progress,
        quota_bytes: int,
        agent_version: str,
    ) -> None:
        self.plan = plan
        self.today = today
        self._clock = clock
        self._store = store
        self._timeline = timeline
        self._buffer = buffer
        self._poller = poller
        self._alerting = alerting
        self._sync = sync
        self._progress = progress
        self._quota_bytes = quota_bytes
        self._agent_version = agent_version

    async def snapshot(self) -> Snapshot:
        """State of now."""
        folder = self._store.path.parent
        now = self._timeline.now()
        return Snapshot(
            site_name=self.plan.site.name if self.plan else "",
            timezone=self.plan.site.timezone if self.plan else "UTC",
            now=now,
            time_quality=self._timeline.boot.time_quality,
            today=energy_today(self.today, devices=[live.device for live in self._poller.live.values()], now=now),
            devices=self._devices(now),
            alerts=self._alerts(),
            buffer=BufferView(
                state=self._state(),
                pending_readings=self._buffer.depth.readings,
                oldest_at=await self._store.read(oldest_at) if self._buffer.depth.readings else None,
                last_ack_at=self._sync.last_ack_at,
            ),
            disk=DiskView(store_bytes(folder), self._quota_bytes, shutil.disk_usage(folder).free),
            agent_version=self._agent_version,
        )

    async def chart(self) -> ChartSeries:
        """Means of the last 24 hours in steps of five minutes, from the minute ring."""
        now_s = int(self._timeline.now().timestamp())
        start = datetime.fromtimestamp(now_s // STEP_S * STEP_S + STEP_S, self._timeline.now().tzinfo) - timedelta(
            days=1
        )
        series = await self._store.read(lambda connection: read_minutes(connection, since=start))
        return draw_series(series, devices=[live.device for live in self._poller.live.values()], start=start)

    async def is_healthy(self) -> bool:
        """Whether polling, store and sync make progress."""
        return not self._progress.stuck()

    def _devices(self, now: datetime) -> tuple[DeviceView, ...]:
        plan = [live.device for live in self._poller.live.values()]
        return tuple(_device_view(live, plan=plan, now=now) for live in self._poller.live.values())

    def _alerts(self) -> tuple[AlertView, ...]:
        rules = {rule.id: rule.name for rule in self.plan.rules} if self.plan else {}
        names = {key: live.device.name for key, live in self._poller.live.items()}
        return tuple(
            AlertView(
                rule_name=rules.get(alert.rule_id, alert.metric),
                device_name=names.get(alert.device_id, ""),
                severity=alert.severity,
                since=alert.triggered_at,
            )
            for alert in self._alerting.sorted_open()
        )

    def _state(self) -> ShownState:
        if self._sync.is_refused:
            return ShownState.REFUSED
        if not self._sync.online:
            return ShownState.OFFLINE
        return ShownState.IN_SYNC if self._buffer.depth.readings == 0 else ShownState.SENDING


def _device_view(live: LiveDevice, *, plan: Sequence[PlanDevice], now: datetime) -> DeviceView:
    device = live.device
    return DeviceView(
        id=str(device.id),
        name=device.name,
        device_type=device.device_type,
        link_up=live.link_up,
        at=live.answered_at,
        age_s=None if live.answered_at is None else max(0.0, (now - live.answered_at).total_seconds()),
        stale_after_s=STALE_POLLS * device.poll_interval_s,
        values=live.values or {},
        feeds_battery=feeds_battery(device, devices=plan),
    )


def energy_today(today: Today, *, devices: Sequence[PlanDevice], now: datetime) -> TodayEnergy:
    """The site's energy from its devices' counters: a meter's grid counters go before an inverter's, a battery's before its inverter's."""

    def of(*kinds: DeviceType, metric: str) -> float | None:
        for kind in kinds:
            ids = [device.id for device in devices if device.device_type is kind]
            if today.has(ids, metric):
                return today.kwh(ids, metric, now=now)
        return None

    generated = of(DeviceType.INVERTER, metric="energy_total_kwh")
    imported = of(DeviceType.METER, DeviceType.INVERTER, metric="grid_import_energy_total_kwh")
    exported = of(DeviceType.METER, DeviceType.INVERTER, metric="grid_export_energy_total_kwh")
    charged = of(DeviceType.BATTERY, DeviceType.INVERTER, metric="battery_charge_energy_total_kwh")
    discharged = of(DeviceType.BATTERY, DeviceType.INVERTER, metric="battery_discharge_energy_total_kwh")
    consumed = None
    has_battery = any(device.device_type is DeviceType.BATTERY for device in devices)
    if generated is not None and imported is not None and exported is not None:
        if charged is not None and discharged is not None:
            consumed = max(0.0, generated + imported + discharged - exported - charged)
        elif not has_battery:
            consumed = max(0.0, generated + imported - exported)
    return TodayEnergy(generated, consumed, imported, exported, charged, discharged)


def draw_series(series: Series, *, devices: Sequence[PlanDevice], start: datetime) -> ChartSeries:
    """Power flow of each step, by the same rule as the flow of now; None where a part was not read."""
    steps: list[dict[UUID, dict[str, list[float]]]] = [{} for _ in range(STEPS)]
    for (device_id, metric), points in series.items():
        for point in points:
            index = int((point.at - start).total_seconds() // STEP_S)
            if 0 <= index < STEPS:
                steps[index].setdefault(device_id, {}).setdefault(metric, []).append(point.mean)
    flows = [
        power_flow([_in_step(device, step.get(device.id), devices=devices) for device in devices]) for step in steps
    ]
    return ChartSeries(
        start=start,
        step_s=STEP_S,
        pv_kw=tuple(flow.pv_kw for flow in flows),
        load_kw=tuple(flow.load_kw for flow in flows),
        grid_kw=tuple(flow.grid_kw for flow in flows),
    )


def _in_step(
    device: PlanDevice, values: Mapping[str, Sequence[float]] | None, *, devices: Sequence[PlanDevice]
) -> DeviceView:
    """A device as it was in one step of the chart."""
    return DeviceView(
        id=str(device.id),
        name=device.name,
        device_type=device.device_type,
        link_up=values is not None,
        at=None,
        age_s=None if values is None else 0.0,
        stale_after_s=0.0,
        values={key: fmean(column) for key, column in (values or {}).items()},
        feeds_battery=feeds_battery(device, devices=devices),
    )
