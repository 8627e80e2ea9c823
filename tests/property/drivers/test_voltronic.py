"""PI30: any text comes back, no damage is believed, and numbers and flags are read where they stand."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.voltronic_frame import FrameError, crc, decode, encode
from edge_agent.drivers.voltronic_table import (
    CODE_PREFIX,
    NO_TROUBLE,
    STATES,
    STATUS,
    STATUS_FIELDS,
    battery_flow,
    charger_power,
    fault_codes,
    state_of,
    values_of,
)
from shared.enums import DeviceType, OperatingState
from tests.voltronic_inverter import crc as crc_by_bits
from tests.voltronic_inverter import framed

TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="("), max_size=130)
FIELDS = st.one_of(
    st.integers(0, 99999).map("{:05}".format),
    st.decimals(0, 999, places=1).map(lambda number: f"{number:05.1f}"),
    st.sampled_from(["-", "---", "--.-"]),
)
FLAGS = st.text("01", min_size=8, max_size=8)


@st.composite
def statuses(draw: st.DrawFn) -> str:
    """Any QPIGS of 17 to 24 fields."""
    head = draw(st.lists(FIELDS, min_size=16, max_size=16))
    tail = draw(st.lists(FIELDS, max_size=7))
    return " ".join([*head, draw(FLAGS), *tail])


@given(st.binary(max_size=150))
def test_the_crc_is_the_documents_and_holds_no_frame_byte(data: bytes) -> None:
    assert crc(data) == crc_by_bits(data)
    assert not set(crc(data)) & {0x28, 0x0D, 0x0A}


@given(TEXTS)
def test_any_text_comes_back(text: str) -> None:
    frame = framed(text)
    assert frame.index(b"\r") == len(frame) - 1
    assert decode(frame[:-1]) == text.rstrip()


@given(TEXTS, TEXTS.filter(bool))
def test_behind_an_echo_or_a_piece_the_answer_is_found(text: str, piece: str) -> None:
    assert decode(framed(piece)[: len(piece)] + framed(text)[:-1]) == text.rstrip()
    assert decode(encode("QPIGS")[:-1]) is None


@given(TEXTS, st.data())
def test_a_damaged_byte_is_never_believed(text: str, data: st.DataObject) -> None:
    frame = bytearray(framed(text)[:-1])
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    try:
        taken = decode(bytes(frame))
    except FrameError:
        taken = None
    assert taken is None


@given(TEXTS, st.data())
def test_a_cut_answer_is_never_believed(text: str, data: st.DataObject) -> None:
    frame = framed(text)[:-1]
    piece = frame[: data.draw(st.integers(0, len(frame) - 1))]
    try:
        taken = decode(piece)
    except FrameError:
        taken = None
    # A piece may by chance end with its own right CRC: once in 65,536, which is what a CRC of two bytes can do.
    assert taken is None or crc_by_bits(piece[:-2]) == piece[-2:]


@given(statuses())
def test_numbers_are_read_where_they_stand(status: str) -> None:
    assert STATUS.shape.fullmatch(status)
    fields = status.split()
    for table in STATUS_FIELDS.values():
        values = values_of(status, table)
        for field in table:
            text = fields[field.place] if field.place < len(fields) else None
            if text is None or (field.needs_point and "." not in text):
                assert field.metric not in values
            elif text.startswith("-"):
                assert values[field.metric] is None
            else:
                assert values[field.metric] == float(Decimal(text) * field.factor)


@given(statuses())
def test_the_batterys_flow_has_one_sign(status: str) -> None:
    flow = battery_flow(status)
    voltage, charge, discharge = (status.split()[place] for place in (8, 9, 15))
    if any(text.startswith("-") for text in (voltage, charge, discharge)):
        assert flow["battery_power_kw"] is None
        return
    current = Decimal(discharge) - Decimal(charge)
    assert flow == {
        "battery_current_a": float(current),
        "battery_power_kw": float(Decimal(voltage) * current / 1000),
    }


@given(statuses())
def test_the_modules_power_comes_from_one_place_only(status: str) -> None:
    direct = values_of(status, STATUS_FIELDS[DeviceType.INVERTER]).keys() & {"dc_power_kw.pv1"}
    assert len(direct) + len(charger_power(status)) == 1


@given(statuses(), st.characters(min_codepoint=0x41, max_codepoint=0x5A))
def test_every_mode_has_a_state(status: str, mode: str) -> None:
    state = state_of(mode, status)
    assert (state is OperatingState.UNKNOWN) == (mode not in STATES)


@given(st.text("01", min_size=30, max_size=64))
def test_each_flag_that_is_set_is_one_code(flags: str) -> None:
    codes = fault_codes(flags).split()
    assert len(codes) == sum(flag == "1" and place not in NO_TROUBLE for place, flag in enumerate(flags))
    assert len(set(codes)) == len(codes)
    assert all(code.startswith(CODE_PREFIX) for code in codes)
