"""However batches are cut, repeated and reordered, the ledger takes each sequence number once and in order."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.rules import SequenceVerdict, sequence_step

OLD, NEW = UUID(int=1), UUID(int=2)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 10)), max_size=60))
def test_each_number_is_taken_once_in_order(spans: list[tuple[int, int]]) -> None:
    acked, taken = 0, []
    for first, length in spans:
        last = first + length
        step = sequence_step(
            epoch=OLD, first_seq=first, last_seq=last, current_epoch=OLD, acked_seq=acked, former_epoch=False
        )
        assert step.acked_seq == acked
        if step.verdict is SequenceVerdict.NEXT:
            taken += range(step.expected_seq, last + 1)
            acked = last
        elif step.verdict is SequenceVerdict.GAP:
            assert first > step.expected_seq
        else:
            assert step.verdict is SequenceVerdict.REPEAT
            assert last <= acked
    assert taken == list(range(1, acked + 1))


def test_a_first_batch_begins_an_epoch() -> None:
    step = sequence_step(epoch=NEW, first_seq=1, last_seq=4, current_epoch=None, acked_seq=0, former_epoch=False)
    assert (step.verdict, step.expected_seq) == (SequenceVerdict.NEXT, 1)


def test_a_new_epoch_begins_at_one_whatever_was_acked_before() -> None:
    step = sequence_step(epoch=NEW, first_seq=1, last_seq=2, current_epoch=OLD, acked_seq=900, former_epoch=False)
    assert (step.verdict, step.acked_seq) == (SequenceVerdict.NEXT, 0)
    later = sequence_step(epoch=NEW, first_seq=3, last_seq=4, current_epoch=OLD, acked_seq=900, former_epoch=False)
    assert (later.verdict, later.expected_seq) == (SequenceVerdict.GAP, 1)


def test_an_epoch_that_was_left_does_not_come_back() -> None:
    step = sequence_step(epoch=OLD, first_seq=1, last_seq=2, current_epoch=NEW, acked_seq=5, former_epoch=True)
    assert step.verdict is SequenceVerdict.SUPERSEDED
