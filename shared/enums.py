"""The words that both sides speak. Values are the database's and the wire's; a test compares them with the enum types there."""

from enum import IntFlag, StrEnum


class UserRole(StrEnum):
    """Platform-wide role of an account; inside an organisation the membership decides (`OrgMemberRole`)."""

    SUPER_ADMIN = "super_admin"
    OWNER = "owner"
    ADMIN = "admin"
    MANAGER = "manager"
    VIEWER = "viewer"
    INSTALLER = "installer"


class OrgMemberRole(StrEnum):
    """Role of a member inside one organisation."""

    OWNER = "owner"
    ADMIN = "admin"
    MANAGER = "manager"
    VIEWER = "viewer"
    INSTALLER = "installer"


class SiteStatus(StrEnum):
    """Whether a site is in operation."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    MAINTENANCE = "maintenance"
    DECOMMISSIONED = "decommissioned"


class DeviceType(StrEnum):
    """What a device is on the site."""

    INVERTER = "inverter"
    METER = "meter"
    BATTERY = "battery"
    WEATHER_STATION = "weather_station"
    SENSOR = "sensor"
    GATEWAY = "gateway"


class DeviceStatus(StrEnum):
    """Whether a device is heard of."""

    ONLINE = "online"
    OFFLINE = "offline"
    ERROR = "error"
    MAINTENANCE = "maintenance"
    UNKNOWN = "unknown"


class ProtocolType(StrEnum):
    """How the agent talks to a device."""

    MODBUS_TCP = "modbus_tcp"
    MODBUS_RTU = "modbus_rtu"
    MQTT = "mqtt"
    HTTP = "http"
    CUSTOM = "custom"


class AlertSeverity(StrEnum):
    """How soon somebody must look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertStatus(StrEnum):
    """Life cycle of an alert: active -> acknowledged -> resolved | expired."""

    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    EXPIRED = "expired"


class ReportType(StrEnum):
    """What a report tells."""

    PERFORMANCE_SUMMARY = "performance_summary"
    ENERGY_GENERATION = "energy_generation"
    BILLING_SUMMARY = "billing_summary"
    DEVICE_STATUS = "device_status"
    ALERT_SUMMARY = "alert_summary"
    MAINTENANCE = "maintenance"
    ENVIRONMENTAL_IMPACT = "environmental_impact"
    COMPARISON = "comparison"
    FINANCIAL = "financial"
    EXECUTIVE_SUMMARY = "executive_summary"
    TECHNICAL_DETAILED = "technical_detailed"
    REGULATORY_COMPLIANCE = "regulatory_compliance"
    CUSTOM = "custom"


class ReportFormat(StrEnum):
    """What a report is written as."""

    PDF = "pdf"
    EXCEL = "excel"
    CSV = "csv"
    HTML = "html"
    JSON = "json"


class ReportFrequency(StrEnum):
    """How often a schedule fires."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class ReportStatus(StrEnum):
    """Life cycle of a report: pending -> generating -> completed -> delivered | failed -> expired."""

    PENDING = "pending"
    GENERATING = "generating"
    COMPLETED = "completed"
    FAILED = "failed"
    DELIVERED = "delivered"
    EXPIRED = "expired"


class DeliveryMethod(StrEnum):
    """How a finished report reaches its readers."""

    DOWNLOAD = "download"
    EMAIL = "email"
    WEBHOOK = "webhook"
    STORAGE = "storage"


class OperatingState(StrEnum):
    """Canonical state of an inverter or battery; each profile maps its vendor's codes to these."""

    OFF = "off"
    SLEEPING = "sleeping"
    STANDBY = "standby"
    STARTING = "starting"
    PRODUCING = "producing"
    PRODUCING_LIMITED = "producing_limited"
    CHARGING_ONLY = "charging_only"
    OFF_GRID = "off_grid"
    SHUTTING_DOWN = "shutting_down"
    FAULT = "fault"
    MAINTENANCE = "maintenance"
    UNKNOWN = "unknown"


class TimeQuality(StrEnum):
    """How far the clock that dated a reading can be trusted."""

    SYNCED = "synced"
    """Set by NTP or checked against the cloud's Date."""
    HELD = "held"
    """Was synced in this boot, then lost its source: drifts by seconds a day."""
    UNKNOWN = "unknown"
    """Never synced since boot: a date may be years off until the boot is re-dated."""


class Quality(IntFlag):
    """What is special about one reading; 0 is a good one. Bits are stored: never renumber."""

    GOOD = 0
    TIME_UNCERTAIN = 1
    """Dated by a clock that had not been synced."""
    FUTURE = 2
    """More than five minutes ahead of the cloud's clock."""
    BEFORE_DEVICE = 4
    """Older than the device's commissioning."""
    OUT_OF_RANGE = 8
    """At least one value outside the metric's sane range; that value does not enter rollups."""
    PARTIAL = 16
    """Some of the device's registers did not answer in this poll."""
    THINNED = 32
    """One reading standing for several: the agent's disk quota was reached."""
    DERIVED = 64
    """At least one value was computed by the agent from others."""
    LINK_DOWN = 128
    """The device did not answer: a moment without values."""

    @property
    def enters_rollups(self) -> bool:
        """Whether energy and means may be built from the reading at all."""
        return not self & (Quality.FUTURE | Quality.BEFORE_DEVICE | Quality.LINK_DOWN)
