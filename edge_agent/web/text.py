"""Every word of the local page, in English and Urdu."""

from enum import StrEnum

# Unicode's "first strong isolate": a date or a number keeps its own order inside a text that runs from right to left.
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"


class Language(StrEnum):
    """Languages of the page."""

    ENGLISH = "en"
    URDU = "ur"

    @property
    def direction(self) -> str:
        """HTML's `dir`."""
        return "rtl" if self is Language.URDU else "ltr"

    @property
    def own_name(self) -> str:
        """What its readers call it."""
        return "اردو" if self is Language.URDU else "English"


TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Solar Hub", "سولر ہب"),
    "skip": ("Skip to content", "مواد پر جائیں"),
    "language": ("Language", "زبان"),
    "live": ("Live", "براہِ راست"),
    "not_live": ("Connection to the box lost, trying again", "باکس سے رابطہ ٹوٹ گیا، دوبارہ کوشش جاری ہے"),
    "flow": ("Power now", "اس وقت کی بجلی"),
    "pv": ("Solar", "سولر"),
    "battery": ("Battery", "بیٹری"),
    "grid": ("Grid", "گرڈ"),
    "load": ("Home", "گھر"),
    "charging": ("charging", "چارج ہو رہی ہے"),
    "discharging": ("discharging", "بجلی دے رہی ہے"),
    "idle": ("idle", "ساکن"),
    "importing": ("import", "درآمد"),
    "exporting": ("export", "برآمد"),
    "today": ("Energy today", "آج کی توانائی"),
    "generated": ("Generated", "پیداوار"),
    "consumed": ("Used", "استعمال"),
    "imported": ("From the grid", "گرڈ سے لی"),
    "exported": ("To the grid", "گرڈ کو دی"),
    "charged": ("Into the battery", "بیٹری میں گئی"),
    "discharged": ("From the battery", "بیٹری سے آئی"),
    "chart": ("Last 24 hours", "پچھلے 24 گھنٹے"),
    "chart_grid": ("Grid (above zero: import)", "گرڈ (صفر سے اوپر: درآمد)"),
    "chart_hour": ("Hour", "گھنٹہ"),
    "chart_table": ("The same as a table", "یہی معلومات جدول میں"),
    "no_chart": ("No readings in the last 24 hours yet.", "پچھلے 24 گھنٹوں کی کوئی ریڈنگ ابھی نہیں ہے۔"),
    "devices": ("Devices", "آلات"),
    "no_devices": (
        "No devices yet: add them in Solar Hub and they appear here.",
        "ابھی کوئی آلہ نہیں: سولر ہب میں شامل کریں تو یہاں نظر آئے گا۔",
    ),
    "all_values": ("All values", "تمام قدریں"),
    "answers": ("answers", "جواب دے رہا ہے"),
    "silent": ("does not answer", "جواب نہیں دے رہا"),
    "not_asked": ("not asked yet", "ابھی پوچھا نہیں گیا"),
    "stale": ("old values", "پرانی قدریں"),
    "age": ("{age} ago", "{age} پہلے"),
    "no_reading": ("no reading yet", "ابھی کوئی ریڈنگ نہیں"),
    "alerts": ("Open alerts", "کھلے انتباہ"),
    "no_alerts": ("None. All is well.", "کوئی نہیں۔ سب ٹھیک ہے۔"),
    "since": ("since {moment}", "{moment} سے"),
    "severity_info": ("Info", "اطلاع"),
    "severity_warning": ("Warning", "خبردار"),
    "severity_critical": ("Critical", "سنگین"),
    "box": ("This box", "یہ باکس"),
    "clock": ("Clock", "گھڑی"),
    "time_synced": ("set by the network", "نیٹ ورک سے درست شدہ"),
    "time_held": ("was set, now running alone", "درست کی گئی تھی، اب خود چل رہی ہے"),
    "time_unknown": ("not set: dates may be wrong", "درست نہیں: تاریخیں غلط ہو سکتی ہیں"),
    "cloud": ("Cloud", "کلاؤڈ"),
    "sync_in_sync": ("everything is sent", "سب کچھ بھیجا جا چکا"),
    "sync_sending": ("sending", "بھیجا جا رہا ہے"),
    "sync_offline": ("not reachable: readings are kept here", "رابطہ نہیں: ریڈنگز یہاں محفوظ ہیں"),
    "sync_refused": ("refuses this box: enrol it again", "اس باکس کو قبول نہیں کرتا: دوبارہ اندراج کریں"),
    "sync_not_enrolled": ("not enrolled yet", "ابھی اندراج نہیں ہوا"),
    "last_ack": ("last confirmed {moment}", "آخری تصدیق {moment}"),
    "waiting": ("Waiting to be sent", "بھیجے جانے کی منتظر"),
    "readings": ("{count} readings", "{count} ریڈنگز"),
    "oldest": ("oldest {moment}", "سب سے پرانی {moment}"),
    "disk": ("Store", "ذخیرہ"),
    "disk_of": ("{used} of {quota}", "{quota} میں سے {used}"),
    "disk_free": ("{free} free on the disk", "ڈسک پر {free} خالی"),
    "version": ("Version", "ورژن"),
    "seconds": ("{n} s", "{n} سیکنڈ"),
    "minutes": ("{n} min", "{n} منٹ"),
    "hours": ("{n} h", "{n} گھنٹے"),
    "days": ("{n} days", "{n} دن"),
    "type_inverter": ("Inverter", "انورٹر"),
    "type_meter": ("Meter", "میٹر"),
    "type_battery": ("Battery", "بیٹری"),
    "type_weather_station": ("Weather station", "موسمی اسٹیشن"),
    "type_sensor": ("Sensor", "سینسر"),
    "type_gateway": ("Gateway", "گیٹ وے"),
    "state_off": ("off", "بند"),
    "state_sleeping": ("asleep", "سو رہا ہے"),
    "state_standby": ("standby", "تیار"),
    "state_starting": ("starting", "شروع ہو رہا ہے"),
    "state_producing": ("producing", "بجلی بنا رہا ہے"),
    "state_producing_limited": ("producing, limited", "محدود پیداوار"),
    "state_charging_only": ("charging only", "صرف چارجنگ"),
    "state_off_grid": ("off grid", "گرڈ کے بغیر"),
    "state_shutting_down": ("shutting down", "بند ہو رہا ہے"),
    "state_fault": ("fault", "خرابی"),
    "state_maintenance": ("maintenance", "مرمت"),
    "state_unknown": ("unknown", "نامعلوم"),
    "m_ac_power_kw": ("AC power", "اے سی پاور"),
    "m_dc_power_kw": ("PV power", "پینل پاور"),
    "m_dc_voltage_v": ("PV voltage", "پینل وولٹیج"),
    "m_dc_current_a": ("PV current", "پینل کرنٹ"),
    "m_ac_voltage_v": ("Voltage", "وولٹیج"),
    "m_ac_current_a": ("Current", "کرنٹ"),
    "m_ac_apparent_power_kva": ("Apparent power", "ظاہری پاور"),
    "m_ac_reactive_power_kvar": ("Reactive power", "ری ایکٹو پاور"),
    "m_power_factor": ("Power factor", "پاور فیکٹر"),
    "m_grid_frequency_hz": ("Frequency", "فریکوئنسی"),
    "m_grid_power_kw": ("Grid power", "گرڈ پاور"),
    "m_load_power_kw": ("Load", "لوڈ"),
    "m_backup_power_kw": ("Backup output", "بیک اپ پاور"),
    "m_generator_power_kw": ("Generator", "جنریٹر"),
    "m_battery_power_kw": ("Battery power", "بیٹری پاور"),
    "m_battery_voltage_v": ("Battery voltage", "بیٹری وولٹیج"),
    "m_battery_current_a": ("Battery current", "بیٹری کرنٹ"),
    "m_battery_soc_percent": ("State of charge", "چارج"),
    "m_battery_soh_percent": ("State of health", "بیٹری کی صحت"),
    "m_battery_temperature_c": ("Battery temperature", "بیٹری کا درجہ حرارت"),
    "m_battery_cell_voltage_min_v": ("Lowest cell voltage", "کم ترین سیل وولٹیج"),
    "m_battery_cell_voltage_max_v": ("Highest cell voltage", "بلند ترین سیل وولٹیج"),
    "m_battery_cycles_total": ("Battery cycles", "بیٹری سائیکل"),
    "m_inverter_temperature_c": ("Inverter temperature", "انورٹر کا درجہ حرارت"),
    "m_insulation_resistance_mohm": ("Insulation resistance", "انسولیشن مزاحمت"),
    "m_energy_total_kwh": ("Energy, lifetime", "کل پیداوار"),
    "m_energy_today_kwh": ("Energy today", "آج کی پیداوار"),
    "m_grid_import_energy_total_kwh": ("Import, lifetime", "کل درآمد"),
    "m_grid_export_energy_total_kwh": ("Export, lifetime", "کل برآمد"),
    "m_load_energy_total_kwh": ("Load, lifetime", "کل استعمال"),
    "m_battery_charge_energy_total_kwh": ("Charged, lifetime", "کل چارج"),
    "m_battery_discharge_energy_total_kwh": ("Discharged, lifetime", "کل ڈسچارج"),
    "m_grid_import_energy_today_kwh": ("Import today", "آج کی درآمد"),
    "m_grid_export_energy_today_kwh": ("Export today", "آج کی برآمد"),
    "m_irradiance_wm2": ("Irradiance", "شمسی شعاعیں"),
    "m_module_temperature_c": ("Module temperature", "پینل کا درجہ حرارت"),
    "m_ambient_temperature_c": ("Air temperature", "ہوا کا درجہ حرارت"),
    "m_wind_speed_ms": ("Wind speed", "ہوا کی رفتار"),
    "m_wind_direction_deg": ("Wind direction", "ہوا کا رخ"),
    "m_humidity_percent": ("Humidity", "نمی"),
    "m_operating_state": ("State", "حالت"),
    "m_vendor_state_code": ("State code", "حالت کا کوڈ"),
    "m_fault_codes": ("Fault codes", "خرابی کے کوڈ"),
    "m_active_power_limit_percent": ("Power limit", "پاور کی حد"),
    "m_rated_power_kw": ("Rated power", "درجہ بند پاور"),
    "m_link_up": ("Answers", "جواب"),
    "m_poll_latency_ms": ("Answer time", "جواب کا وقت"),
}
"""Key -> English, Urdu. `m_` and a metric's name is its label."""


def text(language: Language, key: str, **parts: object) -> str:
    """One text, with its `{parts}` filled in.

    Raises:
        KeyError: if the key is not in `TEXTS`.
    """
    english, urdu = TEXTS[key]
    if language is Language.URDU:
        return urdu.format(**{name: f"{_ISOLATE}{part}{_END_ISOLATE}" for name, part in parts.items()})
    return english.format(**parts)


def pick_language(asked: str | None, *, accepted: str) -> Language:
    """The language asked for in the address, else the best one of an `Accept-Language` header, else English."""
    known = {language.value: language for language in Language}
    if asked in known:
        return known[asked]
    ranked: list[tuple[float, int, Language]] = []
    for position, part in enumerate(accepted.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        primary = tag.strip().split("-")[0].lower()
        if primary in known:
            ranked.append((-_weight(weight), position, known[primary]))
    return min(ranked)[2] if ranked else Language.ENGLISH


def _weight(quality: str) -> float:
    try:
        return float(quality) if quality else 1.0
    except ValueError:
        return 0.0
