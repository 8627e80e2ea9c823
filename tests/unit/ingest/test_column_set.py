"""The columns that a statement names grow together, so that few statements are ever prepared."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.repository.raw import ColumnSet
from cloud.ingest.rules import RAW_COLUMNS

NAMES = sorted({*RAW_COLUMNS.values(), "extra"})


def test_there_are_none_before_the_first_reading() -> None:
    assert ColumnSet().with_([]) == ()


def test_a_column_that_was_used_once_stays() -> None:
    known = ColumnSet()
    assert known.with_(["grid_power_kw", "ac_power_kw"]) == ("ac_power_kw", "grid_power_kw")
    assert known.with_(["extra"]) == ("ac_power_kw", "extra", "grid_power_kw")
    assert known.with_([]) == ("ac_power_kw", "extra", "grid_power_kw")


def test_what_is_no_column_never_reaches_a_statement() -> None:
    known = ColumnSet()
    for name in ("x); DROP TABLE devices; --", "ac_voltage_v.l1", "AC_POWER_KW", "site_id", ""):
        assert known.with_([name, "ac_power_kw"]) == ("ac_power_kw",)


@given(st.lists(st.sets(st.sampled_from(NAMES), max_size=5), max_size=20))
def test_however_often_it_is_asked_there_are_few_different_answers(asked: list[set[str]]) -> None:
    known = ColumnSet()
    answers = [known.with_(names) for names in asked]
    seen: set[str] = set()
    for names, answer in zip(asked, answers, strict=True):
        seen |= names
        assert answer == tuple(sorted(seen))
    assert len(set(answers)) <= len(seen) + 1
