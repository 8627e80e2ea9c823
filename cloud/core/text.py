"""The words that people read, in English and Urdu: one table, looked up by key.

A message with a missing translation appears in English rather than not at all; a test keeps every key in every language.
"""

import re
from enum import StrEnum


class Language(StrEnum):
    """Languages of the product."""

    EN = "en"
    UR = "ur"


_TITLES: dict[str, dict[Language, str]] = {
    "problem.internal_error": {Language.EN: "Internal error", Language.UR: "اندرونی خرابی"},
    "problem.unauthenticated": {Language.EN: "Not logged in", Language.UR: "لاگ اِن نہیں کیا گیا"},
    "problem.credential_invalid": {Language.EN: "Credential not valid", Language.UR: "شناختی کلید درست نہیں"},
    "problem.login_failed": {Language.EN: "Login failed", Language.UR: "لاگ اِن ناکام رہا"},
    "problem.login_locked": {Language.EN: "Too many failed logins", Language.UR: "لاگ اِن کی بہت زیادہ ناکام کوششیں"},
    "problem.token_expired": {Language.EN: "Session expired", Language.UR: "سیشن ختم ہو گیا"},
    "problem.forbidden": {Language.EN: "Not allowed", Language.UR: "اجازت نہیں"},
    "problem.not_found": {Language.EN: "Not found", Language.UR: "نہیں ملا"},
    "problem.method_not_allowed": {
        Language.EN: "Method not allowed",
        Language.UR: "یہ طریقہ یہاں استعمال نہیں ہو سکتا",
    },
    "problem.not_acceptable": {Language.EN: "No such form", Language.UR: "اس شکل میں دستیاب نہیں"},
    "problem.conflict": {Language.EN: "Conflict", Language.UR: "پہلے سے محفوظ معلومات سے ٹکراؤ"},
    "problem.gone": {Language.EN: "No longer available", Language.UR: "اب دستیاب نہیں"},
    "problem.version_stale": {Language.EN: "Changed in the meantime", Language.UR: "اس دوران تبدیلی ہو چکی ہے"},
    "problem.if_match_required": {Language.EN: "Version required", Language.UR: "ورژن درکار ہے"},
    "problem.body_too_large": {Language.EN: "Body too large", Language.UR: "درخواست کا حجم بہت زیادہ ہے"},
    "problem.validation_failed": {Language.EN: "Invalid request", Language.UR: "درخواست درست نہیں"},
    "problem.idempotency_key_reused": {
        Language.EN: "Idempotency-Key used for another request",
        Language.UR: "یہ کلید کسی اور درخواست کے لیے استعمال ہو چکی ہے",
    },
    "problem.cursor_invalid": {Language.EN: "Cursor not valid", Language.UR: "فہرست کا نشان درست نہیں"},
    "problem.offset_too_large": {Language.EN: "Offset too large", Language.UR: "آف سیٹ بہت بڑا ہے"},
    "problem.rate_limited": {Language.EN: "Too many requests", Language.UR: "بہت زیادہ درخواستیں"},
    "problem.overloaded": {Language.EN: "Busy", Language.UR: "نظام اس وقت مصروف ہے"},
    "problem.database_unavailable": {Language.EN: "Database unavailable", Language.UR: "ڈیٹا بیس دستیاب نہیں"},
    "problem.not_ready": {Language.EN: "Not ready", Language.UR: "ابھی تیار نہیں"},
}

MESSAGES = _TITLES
"""Key -> language -> text. A text may hold `{name}` places."""

_RANGE = re.compile(r"\s*([a-zA-Z]{1,8})(?:-[a-zA-Z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")


def text(key: str, language: Language, **places: object) -> str | None:
    """The text of a key in a language (English where it has no translation); None for an unknown key."""
    entry = MESSAGES.get(key)
    if entry is None:
        return None
    return (entry.get(language) or entry[Language.EN]).format(**places)


def preferred_language(accept_language: str | None) -> Language:
    """The best language of the product for an `Accept-Language` header; English when none fits or the header is nonsense."""
    best, best_quality = Language.EN, 0.0
    for part in (accept_language or "").split(",")[:20]:
        match = _RANGE.fullmatch(part)
        if match is None:
            continue
        name, quality = match[1].lower(), float(match[2] or 1)
        if name in Language.__members__.values() and quality > best_quality:
            best, best_quality = Language(name), quality
    return best
