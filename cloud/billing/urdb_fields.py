"""Fields of the Utility Rate Database's rates, and what becomes of each.

Source: OpenEI, "Get Utility Rates" (https://openei.org/services/doc/rest/util_rates), versions 3 to 8; names in small letters.
"""

from collections.abc import Mapping

from cloud.billing.rules.scheduled.schedule import MINUTES_AN_HOUR, Metering, TierUnit

REFUSED = {
    "coincidentratestructure": "demand at the time of the utility's own peak is charged, which a site's data does not tell",
    "coincidentrateschedule": "demand at the time of the utility's own peak is charged, which a site's data does not tell",
    "lookbackpercent": "the billed demand depends on earlier months",
    "lookbackrange": "the billed demand depends on earlier months",
    "lookbackmonths": "the billed demand depends on earlier months",
    "demandratchetpercentage": "the billed demand depends on earlier months",
    "demandreactivepowercharge": "reactive power is charged, which a site's data does not tell",
    "fueladjustmentsmonthly": "a fuel adjustment is charged month by month",
}
"""Set in a rate, it would change the bill in a way that cannot be worked out: why."""

UNTAKEN = {
    "fixedchargeeaaddl": "a charge for each further meter is left out: one meter is billed",
    "fixedattrs": "may describe further charges, which are left out",
    "demandattrs": "may describe further charges, which are left out",
    "energyattrs": "may describe further charges, which are left out",
    "energycomments": "may say more about the energy charge",
    "demandcomments": "may say more about the demand charge",
    "basicinformationcomments": "may say more about the tariff",
    "peakkwcapacitymin": "who may have the tariff is not checked",
    "peakkwcapacitymax": "who may have the tariff is not checked",
    "peakkwcapacityhistory": "who may have the tariff is not checked",
    "peakkwhusagemin": "who may have the tariff is not checked",
    "peakkwhusagemax": "who may have the tariff is not checked",
    "peakkwhusagehistory": "who may have the tariff is not checked",
    "voltageminimum": "who may have the tariff is not checked",
    "voltagemaximum": "who may have the tariff is not checked",
}
"""Left out, with a warning: why."""

WORDS_ONLY = frozenset(
    {
        "label",
        "utility",
        "name",
        "uri",
        "approved",
        "is_default",
        "sector",
        "description",
        "source",
        "sourceparent",
        "supercedes",
        "supersedes",
        "eiaid",
        "country",
        "latest_update",
        "revisions",
        "voltagecategory",
        "phasewiring",
        "demandunits",
        "coincidentrateunit",
        "energytoulabels",
        "flatdemandlabels",
        "demandlabels",
    }
)
"""Names, places and explanations: nothing in them changes the bill."""

READ = frozenset(
    {
        "startdate",
        "enddate",
        "servicetype",
        "dgrules",
        "usenetmetering",
        "energyratestructure",
        "energyweekdayschedule",
        "energyweekendschedule",
        "flatdemandstructure",
        "flatdemandmonths",
        "flatdemandunit",
        "demandratestructure",
        "demandweekdayschedule",
        "demandweekendschedule",
        "demandrateunit",
        "demandwindow",
        "fixedchargefirstmeter",
        "fixedchargeunits",
        "fixedmonthlycharge",
        "mincharge",
        "minchargeunits",
        "minmonthlycharge",
        "annualmincharge",
    }
)
"""Taken over."""

TIER_UNITS = {
    "kwh": TierUnit.KWH,
    "kwh daily": TierUnit.KWH_PER_DAY,
    "kwh/kw": TierUnit.KWH_PER_KW,
    "kwh/kw daily": TierUnit.KWH_PER_KW_PER_DAY,
}
METERING: Mapping[str, tuple[Metering, int | None]] = {
    "net metering": (Metering.NET_METERING, None),
    "net billing instantaneous": (Metering.NET_BILLING, None),
    "net billing hourly": (Metering.NET_BILLING, MINUTES_AN_HOUR),
    "buy all sell all": (Metering.BUY_ALL_SELL_ALL, None),
}
TIER_FIELDS = frozenset({"max", "unit", "rate", "adj", "sell"})
"""Of a tier in a rate structure."""
