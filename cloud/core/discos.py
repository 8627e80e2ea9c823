"""The electricity distribution companies of Pakistan."""

from enum import StrEnum


class DiscoProvider(StrEnum):
    """Code of a distribution company, as used in a site's configuration and in tariff plans."""

    LESCO = "lesco"
    FESCO = "fesco"
    IESCO = "iesco"
    GEPCO = "gepco"
    MEPCO = "mepco"
    PESCO = "pesco"
    HESCO = "hesco"
    SEPCO = "sepco"
    QESCO = "qesco"
    TESCO = "tesco"
    KELECTRIC = "kelectric"
    HAZECO = "hazeco"
    """Hazara: split off PESCO in 2026."""
