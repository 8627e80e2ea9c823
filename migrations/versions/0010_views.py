"""The six views: every day is the site's local day, live power is summed per role, stale readings are counted and left out."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

VIEWS = {
    "v_active_alerts_summary": """
SELECT o.id AS organization_id,
       o.name AS organization_name,
       count(a.id) AS open_count,
       count(a.id) FILTER (WHERE a.status = 'active') AS active_count,
       count(a.id) FILTER (WHERE a.status = 'acknowledged') AS acknowledged_count,
       count(a.id) FILTER (WHERE a.severity = 'info') AS info_count,
       count(a.id) FILTER (WHERE a.severity = 'warning') AS warning_count,
       count(a.id) FILTER (WHERE a.severity = 'critical') AS critical_count,
       count(a.id) FILTER (WHERE a.escalated) AS escalated_count,
       min(a.triggered_at) AS oldest_triggered_at,
       max(a.triggered_at) AS newest_triggered_at
FROM organizations o
LEFT JOIN alerts a ON a.organization_id = o.id AND a.status IN ('active', 'acknowledged')
GROUP BY o.id, o.name
""",
    "v_device_status_summary": """
SELECT s.id AS site_id,
       s.organization_id,
       s.name AS site_name,
       count(d.id) AS device_count,
       count(d.id) FILTER (WHERE d.status = 'online') AS online_count,
       count(d.id) FILTER (WHERE d.status = 'offline') AS offline_count,
       count(d.id) FILTER (WHERE d.status = 'error') AS error_count,
       count(d.id) FILTER (WHERE d.status = 'maintenance') AS maintenance_count,
       count(d.id) FILTER (WHERE d.status = 'unknown') AS unknown_count,
       max(d.last_seen_at) AS last_seen_at
FROM sites s
LEFT JOIN devices d ON d.site_id = s.id
GROUP BY s.id, s.organization_id, s.name
""",
    "v_site_capacity": """
SELECT s.id AS site_id,
       s.organization_id,
       s.name AS site_name,
       s.status,
       s.timezone,
       CASE jsonb_typeof(s.configuration -> 'system_capacity_kw')
           WHEN 'number' THEN (s.configuration ->> 'system_capacity_kw')::double precision END AS system_capacity_kw,
       CASE jsonb_typeof(s.configuration -> 'panel_count')
           WHEN 'number' THEN (s.configuration ->> 'panel_count')::numeric::integer END AS panel_count,
       CASE jsonb_typeof(s.configuration -> 'panel_wattage')
           WHEN 'number' THEN (s.configuration ->> 'panel_wattage')::double precision END AS panel_wattage,
       CASE jsonb_typeof(s.configuration -> 'inverter_capacity_kw')
           WHEN 'number' THEN (s.configuration ->> 'inverter_capacity_kw')::double precision END AS inverter_capacity_kw,
       CASE jsonb_typeof(s.configuration -> 'battery_capacity_kwh')
           WHEN 'number' THEN (s.configuration ->> 'battery_capacity_kwh')::double precision END AS battery_capacity_kwh,
       s.configuration -> 'grid_connected' = 'true'::jsonb AS grid_connected,
       s.configuration -> 'net_metering_enabled' = 'true'::jsonb AS net_metering_enabled,
       s.configuration ->> 'disco_provider' AS disco_provider,
       s.configuration ->> 'tariff_category' AS tariff_category,
       count(d.id) AS device_count,
       count(d.id) FILTER (WHERE d.device_type = 'inverter') AS inverter_count,
       count(d.id) FILTER (WHERE d.device_type = 'meter') AS meter_count,
       count(d.id) FILTER (WHERE d.device_type = 'battery') AS battery_count,
       count(d.id) FILTER (WHERE d.device_type IN ('weather_station', 'sensor')) AS sensor_count,
       count(d.id) FILTER (WHERE d.device_type = 'gateway') AS gateway_count
FROM sites s
LEFT JOIN devices d ON d.site_id = s.id
GROUP BY s.id
""",
    # A hybrid inverter, its battery and the grid meter all see the same kilowatts: each role is summed over the devices that
    # measure it best (battery before inverter, meter before inverter), never over all of them. Load is what the meters say, else
    # the balance of the sources (every source into the site's bus is positive), else what the inverters say.
    "v_site_telemetry_live": """
SELECT s.id AS site_id,
       s.organization_id,
       s.name AS site_name,
       live.pv_power_kw AS total_power_kw,
       live.grid_power_kw,
       live.battery_power_kw,
       coalesce(live.metered_load_kw, live.pv_power_kw + live.grid_power_kw + coalesce(live.battery_power_kw, 0), live.inverter_load_kw)
           AS load_power_kw,
       live.battery_soc_percent,
       live.energy_today_kwh AS total_energy_today_kwh,
       coalesce(live.devices_reporting, 0) AS devices_reporting,
       coalesce(live.devices_stale, 0) AS devices_stale,
       live.oldest_reading_at,
       live.newest_reading_at
FROM sites s
LEFT JOIN (
    SELECT r.site_id,
           sum(coalesce(r.pv_power_kw, r.current_power_kw)) FILTER (WHERE r.fresh AND r.device_type = 'inverter') AS pv_power_kw,
           coalesce(sum(r.grid_power_kw) FILTER (WHERE r.fresh AND r.device_type = 'meter'),
                    sum(r.grid_power_kw) FILTER (WHERE r.fresh AND r.device_type = 'inverter')) AS grid_power_kw,
           coalesce(sum(r.battery_power_kw) FILTER (WHERE r.fresh AND r.device_type = 'battery'),
                    sum(r.battery_power_kw) FILTER (WHERE r.fresh AND r.device_type = 'inverter')) AS battery_power_kw,
           sum(r.load_power_kw) FILTER (WHERE r.fresh AND r.device_type = 'meter') AS metered_load_kw,
           sum(r.load_power_kw) FILTER (WHERE r.fresh AND r.device_type = 'inverter') AS inverter_load_kw,
           coalesce(avg(r.battery_soc_percent) FILTER (WHERE r.fresh AND r.device_type = 'battery'),
                    avg(r.battery_soc_percent) FILTER (WHERE r.fresh AND r.device_type = 'inverter')) AS battery_soc_percent,
           sum(r.energy_today_kwh) FILTER (WHERE r.of_today AND r.device_type = 'inverter') AS energy_today_kwh,
           count(*) FILTER (WHERE r.fresh) AS devices_reporting,
           count(*) FILTER (WHERE NOT r.fresh) AS devices_stale,
           min(r."timestamp") FILTER (WHERE r.fresh) AS oldest_reading_at,
           max(r."timestamp") FILTER (WHERE r.fresh) AS newest_reading_at
    FROM (
        SELECT t.*,
               d.device_type,
               t."timestamp" >= now() - make_interval(secs => 3 * d.poll_interval_s) AS fresh,
               (t."timestamp" AT TIME ZONE p.timezone)::date = (now() AT TIME ZONE p.timezone)::date AS of_today
        FROM device_telemetry_snapshot t
        JOIN devices d ON d.site_id = t.site_id AND d.id = t.device_id
        JOIN sites p ON p.id = t.site_id
    ) r
    GROUP BY r.site_id
) live ON live.site_id = s.id
""",
    "v_site_daily_energy": """
SELECT t.site_id,
       s.organization_id,
       s.name AS site_name,
       t.summary_date,
       t.energy_generated_kwh,
       t.energy_consumed_kwh,
       t.energy_imported_kwh,
       t.energy_exported_kwh,
       t.energy_charged_kwh,
       t.energy_discharged_kwh,
       t.net_energy_kwh,
       t.peak_power_kw,
       t.performance_ratio,
       t.data_completeness_percent
FROM telemetry_daily_summary t
JOIN sites s ON s.id = t.site_id
WHERE t.device_id IS NULL
  AND t.summary_date > (now() AT TIME ZONE s.timezone)::date - 30
  AND t.summary_date <= (now() AT TIME ZONE s.timezone)::date
""",
    "v_monthly_performance": """
SELECT t.site_id,
       s.organization_id,
       s.name AS site_name,
       t.year,
       t.month,
       t.energy_generated_kwh,
       t.expected_generation_kwh,
       t.generation_variance_percent,
       t.energy_consumed_kwh,
       t.energy_imported_kwh,
       t.energy_exported_kwh,
       t.performance_ratio,
       t.performance_ratio_reason,
       t.capacity_factor,
       t.specific_yield_kwh_kwp,
       t.co2_avoided_kg,
       t.trees_equivalent,
       t.estimated_savings_pkr,
       t.data_completeness_percent
FROM telemetry_monthly_summary t
JOIN sites s ON s.id = t.site_id
WHERE t.device_id IS NULL
""",
}


def upgrade() -> None:
    modern = op.get_context().as_sql or op.get_bind().dialect.server_version_info >= (15,)
    for name, query in VIEWS.items():
        if modern:
            op.execute(f"CREATE VIEW {name} WITH (security_invoker = true) AS {query}")
        else:
            # PostgreSQL 14 runs a view with its owner's rights. Owned by the application's role, which owns no table and cannot
            # bypass policies, it shows what that role may see in the session's tenant context.
            op.execute(f"CREATE VIEW {name} AS {query}")
            op.execute(f"ALTER VIEW {name} OWNER TO solarhub_app")
        op.execute(f"GRANT SELECT ON {name} TO solarhub_app")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
