"""The agent as a whole: builds every part, runs them together, ends them in order."""

import asyncio
import contextlib
import logging
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict

import uvicorn

from edge_agent.alerting import Alerting
from edge_agent.clock import Clock, to_ms
from edge_agent.config import EdgeSettings, ZeroExportOptions
from edge_agent.control.assembly import ZeroExportTask
from edge_agent.drivers.factory import DriverFactory
from edge_agent.enrol import Credential, agent_facts
from edge_agent.errors import ConfigError
from edge_agent.poller import Poller
from edge_agent.store.boots import Timeline
from edge_agent.store.buffer import Buffer
from edge_agent.store.file import StoreFile
from edge_agent.store.newest import read_newest
from edge_agent.store.refusals import RefusalNotes
from edge_agent.store.state import LOCAL_PAGE, read_plan, read_refusals, record_event, save_plan, set_fact
from edge_agent.store.today import Today, read_day_starts
from edge_agent.supervise import Notifier, Progress, Task, give_back_memory, run
from edge_agent.sync.alerts import AlertLane
from edge_agent.sync.backfill import BackfillLane
from edge_agent.sync.live import LiveLane
from edge_agent.sync.session import Session
from edge_agent.uplink import Uplink, tls_context
from edge_agent.web.agent_view import AgentView
from edge_agent.web.page import create_app
from shared.readings import Reading
from shared.wire import EdgePlan

LOG = logging.getLogger(__name__)

PROGRESS_LIMITS_S = {"poll": 300.0, "store": 900.0, "sync": 1_800.0}
"""Real seconds without progress after which systemd is to start the agent anew; each is longer than any planned pause."""

TIME_CHECK_S = 30.0
"""Real seconds between two looks at the wall clock."""


class Agent:
    """One run of the agent on one box. Everything is built in the constructor; `run` ends when it is told to."""

    def __init__(self, settings: EdgeSettings, credential: Credential, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._flush_soon = asyncio.Event()
        self._store = StoreFile(settings.data_dir)
        self._store.open()
        self._timeline = Timeline(self._store, clock)
        quota_bytes = settings.quota_mb * 1_000_000
        self._buffer = Buffer(self._store, self._timeline, quota_bytes=quota_bytes)
        self._plan = self._store.write_now(read_plan)
        self._progress = Progress(PROGRESS_LIMITS_S)
        self._refusals = RefusalNotes(self._store.write_now(read_refusals), stage=self._buffer.stage)
        self._drivers = DriverFactory(clock=clock, notes=self._refusals.of)
        self._alerting = Alerting(
            self._store, self._buffer, gateway_id=credential.gateway_id, on_change=self._flush_soon.set
        )
        self._today = self._new_today()
        self._poller = Poller(
            self._drivers,
            clock=clock,
            timeline=self._timeline,
            buffer=self._buffer,
            alerting=self._alerting,
            progress=self._progress,
            known=self._store.write_now(read_newest),
            on_reading=self._observe,
        )
        self._uplink = Uplink(
            credential.cloud_url,
            clock=clock,
            credential=credential.credential,
            timeout_s=settings.http_timeout_s,
            verify=tls_context(None if settings.ca_file is None else str(settings.ca_file)),
        )
        self._session = Session(
            self._uplink, clock=clock, timeline=self._timeline, buffer=self._buffer, progress=self._progress
        )
        self._live = self._live_lane()
        self._view = self._local_view(quota_bytes)
        self._store.on_rebuilt(self._write_again)
        self._store.after_rebuilt(self._report_rebuilt)
        if self._store.rebuilt is not None:
            self._buffer.stage(self._report_rebuilt)

    async def run(self, stop: asyncio.Event, *, notifier: Notifier) -> None:
        """Poll, store, sync and show until `stop` is set; what was read until then is committed."""
        if self._plan is not None:
            self._alerting.apply(self._plan, self._timeline.now())
            self._refusals.retain(device.id for device in self._plan.devices)
            await self._poller.apply(self._plan)
        LOG.info("started", extra={"devices": len(self._poller.live), "pending_readings": self._buffer.depth.readings})
        try:
            await run(*self._tasks(), clock=self._clock, stop=stop, notifier=notifier, progress=self._progress)
        finally:
            await self._end()

    def _tasks(self) -> list[Task]:
        backfill = BackfillLane(
            self._session,
            self._uplink,
            settings=self._settings,
            clock=self._clock,
            timeline=self._timeline,
            buffer=self._buffer,
            progress=self._progress,
            heard=self._live.heard,
        )
        alerts = AlertLane(self._session, self._uplink, store=self._store, buffer=self._buffer)
        tasks = [
            Task("poll", self._poller.run),
            Task("store", self._flush_for_ever),
            Task("time", self._watch_time),
            Task("memory", give_back_memory),
            Task("live", self._live.run),
            Task("backfill", backfill.run),
            Task("alerts", alerts.run),
        ]
        if self._settings.zero_export is not None:
            tasks.append(Task("zero_export", self._zero_export(self._settings.zero_export).run))
        return [*tasks, Task("page", self._serve_page)] if self._settings.web_enabled else tasks

    def _zero_export(self, options: ZeroExportOptions) -> ZeroExportTask:
        return ZeroExportTask(
            options,
            factory=self._drivers,
            devices=self._poller,
            store=self._store,
            time=self._timeline,
            clock=self._clock,
        )

    def _live_lane(self) -> LiveLane:
        return LiveLane(
            self._session,
            self._uplink,
            clock=self._clock,
            store=self._store,
            timeline=self._timeline,
            buffer=self._buffer,
            interval_s=self._settings.heartbeat_interval_s,
            facts=agent_facts(),
            newest=self._poller.newest,
            plan_revision=None if self._plan is None else self._plan.revision,
            on_plan=self._take_plan,
        )

    def _local_view(self, quota_bytes: int) -> AgentView:
        return AgentView(
            plan=self._plan,
            clock=self._clock,
            store=self._store,
            timeline=self._timeline,
            buffer=self._buffer,
            poller=self._poller,
            alerting=self._alerting,
            sync=self._session.state,
            today=self._today,
            progress=self._progress,
            quota_bytes=quota_bytes,
            agent_version=agent_facts().agent_version,
        )

    def _new_today(self) -> Today:
        zone = self._plan.site.timezone if self._plan else "UTC"
        return Today(zone, starts=self._store.write_now(read_day_starts), stage=self._buffer.stage)

    def _observe(self, reading: Reading) -> None:
        self._today.observe(reading)

    async def _take_plan(self, plan: EdgePlan) -> None:
        """Put a newer plan in force."""
        zone_changed = self._plan is None or self._plan.site.timezone != plan.site.timezone
        self._plan = self._view.plan = plan
        if zone_changed:
            starts = await self._store.read(read_day_starts)
            self._today = self._view.today = Today(plan.site.timezone, starts=starts, stage=self._buffer.stage)
        self._alerting.apply(plan, self._timeline.now())
        self._refusals.retain(device.id for device in plan.devices)
        await self._poller.apply(plan)
        LOG.info("plan_applied", extra={"revision": plan.revision, "devices": len(plan.devices)})

    async def _flush_for_ever(self) -> None:
        is_writable = True
        while True:
            await self._until_flush_is_due()
            try:
                await self._buffer.flush()
            except sqlite3.OperationalError as error:
                # A full or read-only disk: what was read stays in memory, and the watchdog is not fed.
                if is_writable:
                    LOG.error("store_unwritable", extra={"error": str(error)})  # noqa: TRY400  the message says it all
                is_writable = False
                continue
            if not is_writable:
                LOG.info("store_writable")
            is_writable = True
            self._progress.beat("store")

    async def _until_flush_is_due(self) -> None:
        """Sleep one flush interval, less if an alert changed."""
        waits = {
            asyncio.create_task(self._clock.sleep(self._settings.flush_interval_s)),
            asyncio.create_task(self._flush_soon.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._flush_soon.clear()

    async def _watch_time(self) -> None:
        while True:
            changed = await self._timeline.check_wall_clock()
            if changed:
                LOG.warning("clock_changed", extra={"change": changed})
                self._session.event(f"clock_{changed}", {"time_quality": self._timeline.boot.time_quality.value})
            await asyncio.sleep(TIME_CHECK_S)

    async def _serve_page(self) -> None:
        """Serve the local page; a taken port is tried again with every restart of this task."""
        names = self._settings.web_names
        config = uvicorn.Config(
            create_app(self._view, allowed_hosts=names),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        server = _PageServer(config)
        with _listen(self._settings.web_host, self._settings.web_port) as listening:
            host, port = listening.getsockname()[:2]
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
            LOG.info("local_page", extra={"url": url})
            # With the next flush, not now: the page is wanted most when the disk is full.
            self._buffer.stage(lambda connection: set_fact(connection, LOCAL_PAGE, url), key=LOCAL_PAGE)
            self._flush_soon.set()
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                server.should_exit = True
                await serving
                raise

    def _write_again(self, connection: sqlite3.Connection) -> None:
        """What memory holds and a rebuilt store must have."""
        if self._plan is not None:
            save_plan(connection, self._plan, self._timeline.now())
        self._alerting.save_all(connection)
        self._refusals.save_all(connection)

    def _report_rebuilt(self, connection: sqlite3.Connection) -> None:
        rebuilt = self._store.rebuilt
        if rebuilt is not None:
            detail = {**asdict(rebuilt), "quarantined": rebuilt.quarantined.name}
            LOG.error("store_rebuilt", extra={"detail": detail})
            record_event(connection, to_ms(self._timeline.now()), "store_rebuilt", detail)

    async def _end(self) -> None:
        try:
            await self._buffer.flush()
            await self._store.write(lambda connection: set_fact(connection, LOCAL_PAGE, None))
        except sqlite3.Error as error:
            LOG.error("last_flush_failed", extra={"error": str(error)})  # noqa: TRY400  the message says it all
        await self._drivers.close()
        await self._uplink.close()
        self._store.close()
        LOG.info("stopped", extra={"readings_total": self._buffer.readings_total})


class _PageServer(uvicorn.Server):
    """Leaves the signals to the agent, which ends everything in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    """Bind before the server starts: it would end the whole process if it could not."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        raise ConfigError(
            f"web_host = {host!r}, web_port = {port}: cannot listen ({error}); another program has the port, or the address is not"
            " this box's; set SOLARHUB_EDGE_WEB_PORT"
        ) from error
