"""Province, export scheme, peak hours at their edges."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from cloud.billing.rules.consumer import export_scheme_of, province_of
from cloud.billing.rules.model import ExportScheme
from cloud.billing.rules.tou import is_peak


@pytest.mark.parametrize(
    ("state", "disco", "province"),
    [
        ("Punjab", "iesco", "punjab"),
        ("  khyber  PAKHTUNKHWA ", "pesco", "khyber_pakhtunkhwa"),
        (None, "kelectric", "sindh"),
        ("", "hazeco", "khyber_pakhtunkhwa"),
        (None, "iesco", None),
        ("Somewhere", "qesco", "balochistan"),
    ],
)
def test_province(state: str | None, disco: str, province: str | None) -> None:
    assert province_of(state, disco) == province


@pytest.mark.parametrize(
    ("named", "enabled", "installed", "scheme", "warned"),
    [
        ("net_billing_2026", False, None, ExportScheme.NET_BILLING_2026, False),
        (None, False, date(2020, 1, 1), ExportScheme.NONE, False),
        (None, True, None, ExportScheme.NET_METERING_2015, True),
        (None, True, date(2026, 2, 8), ExportScheme.NET_METERING_2015, True),
        (None, True, date(2026, 2, 9), ExportScheme.NET_BILLING_2026, True),
    ],
)
def test_export_scheme(
    named: str | None, enabled: bool, installed: date | None, scheme: ExportScheme, warned: bool
) -> None:
    found, warnings = export_scheme_of(named=named, net_metering_enabled=enabled, installed=installed)
    assert found is scheme
    assert bool(warnings) is warned


@pytest.mark.parametrize(
    ("disco", "at", "peak"),
    [
        ("lesco", (1, 17, 0), True),
        ("lesco", (1, 21, 0), False),
        ("lesco", (4, 18, 0), True),
        ("lesco", (7, 18, 59), False),
        ("lesco", (7, 22, 59), True),
        ("lesco", (10, 17, 59), False),
        ("kelectric", (5, 18, 15), False),
        ("kelectric", (5, 18, 30), True),
        ("kelectric", (10, 22, 15), True),
        ("kelectric", (11, 18, 0), True),
        ("kelectric", (11, 22, 0), False),
    ],
)
def test_peak_hours(disco: str, at: tuple[int, int, int], peak: bool) -> None:
    month, hour, minute = at
    assert is_peak(datetime(2026, month, 15, hour, minute, tzinfo=ZoneInfo("Asia/Karachi")), disco) is peak
