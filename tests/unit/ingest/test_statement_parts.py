"""Parts of a statement, each written with parameters from `$1` on, stand behind each other in one."""

from cloud.core.bulk import numbered_after, parameter_count
from cloud.ingest.repository.raw import insert_statement


def test_each_number_makes_room_for_the_parts_before() -> None:
    assert (
        numbered_after(19, "SELECT $1, $12, $2::text, $$null$$ FROM t") == "SELECT $20, $31, $21::text, $$null$$ FROM t"
    )


def test_a_part_takes_as_many_as_its_highest_number() -> None:
    assert [parameter_count(sql) for sql in ("SELECT 1", "SELECT $1, $1", "SELECT $10, $2, $$null$$")] == [0, 1, 10]


def test_quoted_words_in_rows_without_columns_stay_as_they_are() -> None:
    part = insert_statement(("ac_power_kw", "extra"))
    assert parameter_count(part) == 8
    moved = numbered_after(35, part)
    assert (parameter_count(moved), moved.count("$$null$$")) == (43, 1)
