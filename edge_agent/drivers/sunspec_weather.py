"""From SunSpec points to the metric catalogue: weather stations and sensors. Pure.

Models 302 (irradiance), 303 (back of module temperature), 306 (reference point) and 307 (base meteorology). Where a station has several
sensors of a kind, the first that is there counts: a mean would hide that one of them is dirty, shaded or torn off. Of model 306 only the
irradiance is taken; its temperature has no usable unit in the definition.
"""

from collections.abc import Iterable, Mapping

from edge_agent.drivers.sunspec_models import Point
from edge_agent.drivers.sunspec_points import ONE, Models, Table, mapped
from shared.enums import Quality
from shared.readings import Value

IRRADIANCE_MODEL = 302
MODULE_MODEL = 303
REFERENCE_MODEL = 306
BASE_MODEL = 307
WEATHER_MODELS = (IRRADIANCE_MODEL, BASE_MODEL, MODULE_MODEL, REFERENCE_MODEL)

_IRRADIANCE: Table = {
    "POAI": ("irradiance_wm2.poa", ONE),
    "GHI": ("irradiance_wm2.ghi", ONE),
    "DFI": ("irradiance_wm2.dhi", ONE),
}
_MODULE: Table = {"TmpBOM": ("module_temperature_c", ONE)}
_REFERENCE: Table = {"GHI": ("irradiance_wm2.reference", ONE)}
_BASE: Table = {
    "TmpAmb": ("ambient_temperature_c", ONE),
    "RH": ("humidity_percent", ONE),
    "WndSpd": ("wind_speed_ms", ONE),
    "WndDir": ("wind_direction_deg", ONE),
}


def weather_values(models: Models) -> tuple[dict[str, Value], Quality]:
    """Values of a weather station, from what was read of it."""
    irradiance = (one for model in models.get(IRRADIANCE_MODEL, ()) for one in model.repeated("repeating"))
    modules = (one for model in models.get(MODULE_MODEL, ()) for one in model.repeated("temp"))
    values = _first_said(irradiance, _IRRADIANCE) | _first_said(modules, _MODULE)
    values |= _first_said((model.points for model in models.get(REFERENCE_MODEL, ())), _REFERENCE)
    values |= _first_said((model.points for model in models.get(BASE_MODEL, ())), _BASE)
    return values, Quality.GOOD


def _first_said(sensors: Iterable[Mapping[str, Point]], table: Table) -> dict[str, Value]:
    """Of each metric the first sensor's value that is one; None where no sensor has one."""
    values: dict[str, Value] = {}
    for sensor in sensors:
        for key, value in mapped(sensor, table).items():
            if values.get(key) is None:
                values[key] = value
    return values
