"""What people call companies, tariffs, schemes and standings, and what they are called here."""

import re
from decimal import Decimal
from enum import StrEnum

from cloud.billing.case_file.problems import CaseError, nearest, shown
from cloud.billing.rules.consumer import province_of
from cloud.billing.rules.model import ExportScheme
from cloud.billing.rules.provinces import PROVINCES
from cloud.core.discos import DiscoProvider

COMMERCIAL_TOU_KW = Decimal(5)
"""A-2(a) is for less than this."""
IMPORTED = "imported"
"""Category of a tariff of the Utility Rate Database."""
B1_KW = Decimal(25)
B2_KW = Decimal(500)


class Family(StrEnum):
    """A word that leaves open which of several tariffs it is; history, load or the meter decide."""

    HOME = "home"
    """A-1 or A-1(a)."""
    HOME_ANY_METER = "home_any_meter"
    """A home of which is not said whether its meter knows peak hours."""
    COMMERCIAL = "commercial"
    INDUSTRIAL = "industrial"


def key_of(words: str) -> str:
    """Letters and digits alone: `A-1 (a)` is `a1a`, `K-Electric` is `kelectric`."""
    return "".join(char for char in words.lower() if char.isalnum())


_DISCOS: dict[str, DiscoProvider] = {
    **{disco.value: disco for disco in DiscoProvider},
    "ke": DiscoProvider.KELECTRIC,
    "kel": DiscoProvider.KELECTRIC,
    "kesc": DiscoProvider.KELECTRIC,
    "karachielectric": DiscoProvider.KELECTRIC,
    "kelectriclimited": DiscoProvider.KELECTRIC,
    "karachielectricsupplycompany": DiscoProvider.KELECTRIC,
    "lahoreelectricsupplycompany": DiscoProvider.LESCO,
    "faisalabadelectricsupplycompany": DiscoProvider.FESCO,
    "islamabadelectricsupplycompany": DiscoProvider.IESCO,
    "gujranwalaelectricpowercompany": DiscoProvider.GEPCO,
    "multanelectricpowercompany": DiscoProvider.MEPCO,
    "peshawarelectricsupplycompany": DiscoProvider.PESCO,
    "hyderabadelectricsupplycompany": DiscoProvider.HESCO,
    "sukkurelectricpowercompany": DiscoProvider.SEPCO,
    "quettaelectricsupplycompany": DiscoProvider.QESCO,
    "tribalareaselectricsupplycompany": DiscoProvider.TESCO,
    "hazaraelectricsupplycompany": DiscoProvider.HAZECO,
}

_CATEGORIES: dict[str, tuple[str, ...]] = {
    Family.HOME: ("A-1(a)",),
    Family.HOME_ANY_METER: ("A-1", "home", "residential", "domestic"),
    Family.COMMERCIAL: ("A-2", "commercial"),
    Family.INDUSTRIAL: ("B", "industrial"),
    "residential_lifeline": ("A-1(a) lifeline", "A-1 lifeline", "lifeline"),
    "residential_protected": ("A-1(a) protected", "protected"),
    "residential_unprotected": ("A-1(a) un-protected", "un-protected", "unprotected", "non-protected"),
    "residential_tou": ("A-1(b)", "A-1(b) ToU", "A-1(b) time of use", "residential time of use"),
    "commercial_a1": ("A-2(a)", "A-2(a) commercial below 5 kW"),
    "commercial_a2": ("A-2(b)", "commercial_b2"),
    "commercial_a3": (),
    "tou_commercial": ("A-2(c)", "A-2(c) commercial time of use", "commercial_tou"),
    "general_services": ("A-3",),
    "industrial_b1": ("B-1", "B-1(b)", "B-1 up to 25 kW"),
    "industrial_b2": ("B-2", "B-2(b)", "B-2 25-500 kW"),
    "industrial_b3": ("B-3", "B-3 11-33 kV"),
    "industrial_b4": ("B-4", "B-4 66-132 kV"),
    "tou_industrial": ("industrial_tou",),
    "bulk_supply": ("C", "C-1", "C-2", "C-3"),
    "agricultural_tube_well": ("D", "D-1", "D-2", "agricultural"),
    "electric_vehicle": ("EV",),
    IMPORTED: ("imported tariff",),
}
_HOMES = ("A-1", "A-1(a)", "home", "residential", "domestic")
_SPOKEN: dict[str, tuple[str, ...]] = {
    **{
        f"residential_{status}": tuple(
            phrase for home in _HOMES for word in words for phrase in (f"{home} {word}", f"{word} {home}")
        )
        for status, words in {
            "unprotected": ("un-protected", "non-protected"),
            "protected": ("protected",),
            "lifeline": ("lifeline",),
        }.items()
    },
    "residential_tou": tuple(f"{home} {word}" for home in (*_HOMES, "A-1(b)") for word in ("ToU", "time of use")),
    "tou_commercial": tuple(f"{shop} {word}" for shop in ("A-2(c)", "commercial") for word in ("ToU", "time of use")),
    **{f"industrial_b{size}": (f"B-{size} ToU", f"industrial B-{size}") for size in (1, 2, 3, 4)},
}
"""A supply and what distinguishes it, in either order."""
_PRINTED_SUFFIX = re.compile(r"(?<=\w)\s*\(\d{2}\)\s*T?$", re.IGNORECASE)
"""What bills print behind a tariff's code: `A-1a(01)`, `A-1b(03)T`."""
_CATEGORY_OF = {key_of(phrase): code for code, phrases in _SPOKEN.items() for phrase in phrases} | {
    key_of(word): code for code, words in _CATEGORIES.items() for word in (code, *words)
}

_SCHEMES: dict[str, ExportScheme] = {
    "none": ExportScheme.NONE,
    "no": ExportScheme.NONE,
    "noexport": ExportScheme.NONE,
    "netmetering": ExportScheme.NET_METERING_2015,
    "netmetering2015": ExportScheme.NET_METERING_2015,
    "netbilling": ExportScheme.NET_BILLING_2026,
    "netbilling2026": ExportScheme.NET_BILLING_2026,
}
_STANDINGS: dict[str, bool] = {
    **dict.fromkeys(("active", "filer", "atl", "yes", "y", "true", "activetaxpayer"), True),
    **dict.fromkeys(("inactive", "nonfiler", "notactive", "nonatl", "no", "n", "false", "none"), False),
}
_LIMITED = re.compile(r"(?<=company)(?:limited|ltd)$")


def category_names() -> list[str]:
    """Every category's code, with the official one where there is one: `tou_commercial (A-2(c))`."""
    return [f"{code} ({words[0]})" if words else code for code, words in _CATEGORIES.items() if code not in set(Family)]


def _named_inside(words: str) -> DiscoProvider | None:
    """The company whose short name stands among other words, `Lahore (LESCO)`; None where several do, or none."""
    found = {_DISCOS[key] for word in re.split(r"[^\w\-]+", words) if (key := key_of(word)) in _DISCOS}
    return found.pop() if len(found) == 1 else None


def disco_of(words: str) -> DiscoProvider:
    """The company.

    Raises:
        CaseError: if the name is not known.
    """
    found = _DISCOS.get(_LIMITED.sub("", key_of(words))) or _named_inside(words)
    if found is None:
        near = nearest(key_of(words), _DISCOS, count=1)
        hint = f" (did you mean {_DISCOS[near[0]].value}?)" if near else ""
        known = ", ".join(disco.value for disco in DiscoProvider)
        raise CaseError(
            "disco_provider",
            f"disco_provider is {shown(words)}, which is no company known here{hint}; write one of {known}",
        )
    return found


def category_of(words: str, *, field: str = "category") -> str:
    """The category's code, or a `Family` that has to be decided.

    Raises:
        CaseError: if the name is not known.
    """
    found = _CATEGORY_OF.get(key_of(words)) or _CATEGORY_OF.get(key_of(_PRINTED_SUFFIX.sub("", words)))
    if found is None:
        near = nearest(key_of(words), _CATEGORY_OF, count=1)
        hint = f" (did you mean {_CATEGORY_OF[near[0]]}?)" if near else ""
        known = ", ".join(category_names())
        raise CaseError(field, f"{field} is {shown(words)}, which is not a category{hint}; write one of {known}")
    return found


def scheme_of(words: str) -> ExportScheme:
    """The export scheme.

    Raises:
        CaseError: if the name is not known.
    """
    found = _SCHEMES.get(key_of(words))
    if found is None:
        known = ", ".join(scheme.value for scheme in ExportScheme)
        raise CaseError("export_scheme", f"export_scheme is {shown(words)}; write one of {known}")
    return found


def standing_of(words: str | bool) -> bool:
    """Whether the consumer is on the active taxpayers' list.

    Raises:
        CaseError: if the word says neither.
    """
    found = words if isinstance(words, bool) else _STANDINGS.get(key_of(words))
    if found is None:
        raise CaseError(
            "active_taxpayer",
            f'active_taxpayer is {shown(words)}; write true or false, or "active", "inactive", "filer" or "non_filer"',
        )
    return found


def province_code(words: str) -> str:
    """The province.

    Raises:
        CaseError: if the name is not known.
    """
    plain = re.sub(r"[\s_\-]+", " ", words.lower()).removesuffix(" province")
    found = province_of(plain, "")
    if found is None:
        raise CaseError("province", f"province is {shown(words)}; write one of {', '.join(PROVINCES)}")
    return found
