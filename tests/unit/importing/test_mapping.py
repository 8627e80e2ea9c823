"""A mapping file is read, or refused with the key, the value and the way out."""

from decimal import Decimal
from pathlib import Path

import pytest

from cloud.ingest.importing.errors import MappingError
from cloud.ingest.importing.mapping import Fold, ImportMapping, load_mapping, parse_mapping

TIME = '[time]\ncolumn = "Time"\nzone = "Asia/Karachi"\n'
DEVICE = '[device]\nref = "INV-1"\n'
POWER = '[[values]]\nsource = "PAC"\nmetric = "ac_power_kw"\nunit = "W"\n'


def read(text: str) -> ImportMapping:
    return parse_mapping(text, name="mapping.toml")


def test_the_smallest_mapping() -> None:
    mapping = read(TIME + DEVICE + POWER)
    assert mapping.columns == ("Time", "PAC")
    assert (mapping.file.delimiter, mapping.file.decimal, mapping.file.header) == (",", ".", True)
    assert mapping.time.fold is Fold.REJECT
    assert (mapping.values[0].scale, mapping.values[0].conversion.divide) == (Decimal(1), Decimal(1000))


def test_numbers_are_taken_as_they_are_written() -> None:
    assert read(TIME + DEVICE + POWER + "scale = 0.1\n").values[0].scale == Decimal("0.1")


def test_an_alias_becomes_the_metrics_own_name() -> None:
    assert read(TIME + DEVICE + POWER.replace("ac_power_kw", "power_output")).values[0].metric == "ac_power_kw"


def test_columns_of_a_long_file() -> None:
    long = '[long]\nmetric_column = "tag"\nvalue_column = "value"\n'
    device = '[device]\ncolumn = "SN"\nnames = { WR1 = "INV-1" }\n'
    assert read(TIME + device + long + POWER).columns == ("Time", "SN", "tag", "value")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[time", "is no TOML"),
        (DEVICE + POWER, "time is missing"),
        (TIME + DEVICE, "values is missing"),
        (TIME + POWER, "values.0 names no device, and there is no [device]"),
        (TIME + DEVICE + POWER + POWER, "values.1 is 'ac_power_kw' again for the same device"),
        (TIME + '[device]\nref = "a"\ncolumn = "b"\n' + POWER, "either ref (one device) or column"),
        (TIME + '[device]\nref = "a"\nnames = { a = "b" }\n' + POWER, "names is of use only together with column"),
        (TIME + DEVICE + "[file]\nseparator = ';'\n" + POWER, "file.separator is not known; known are encoding, delimiter"),
        ("color = 1\n" + TIME + DEVICE + POWER, "color is not known; known are time, values, device, file, long"),
        (TIME + DEVICE + "[file]\ndelimiter = ';;'\n" + POWER, "file.delimiter is ';;'"),
        (TIME + DEVICE + "[file]\ndecimal = ','\nthousands = ','\n" + POWER, "decimal and thousands are both ','"),
        (TIME + DEVICE + "[file]\ndelimiter = '|'\nquote = '|'\n" + POWER, "delimiter and quote are both '|'"),
        (TIME + DEVICE + "[file]\nencoding = 'latin-99'\n" + POWER, "file.encoding is 'latin-99': is no text encoding"),
        (TIME.replace("Karachi", "Karachy") + DEVICE + POWER, "time.zone is 'Asia/Karachy'"),
        ('[time]\ncolumn = "a"\ncolumns = ["b", "c"]\n' + DEVICE + POWER, "either column, or columns"),
        ('[time]\ncolumn = "a"\nformat = "%d.%m.%Y %H:%M"\n' + DEVICE + POWER, "zone is missing"),
        ('[time]\ncolumn = "a"\nformat = "%H:%M"\n' + DEVICE + POWER, "time.format is '%H:%M': loses the date"),
        ('[time]\ncolumn = "a"\nformat = "%d.%m.%Y"\n' + DEVICE + POWER, "loses the date or the hour"),
        ('[time]\ncolumn = "a"\nformat = "%d.%m.%Y %I:%M"\n' + DEVICE + POWER, "twelve hours without %p"),
        ('[time]\ncolumn = "a"\nformat = "ISO"\n' + DEVICE + POWER, "time.format is 'ISO'"),
        (TIME + "fold = 'third'\n" + DEVICE + POWER, "time.fold is 'third'"),
        (TIME + DEVICE + POWER.replace("ac_power_kw", "ac_powr_kw"), "near to it are ac_power_kw"),
        (TIME + DEVICE + POWER.replace("ac_power_kw", "ac_power_kw.l9"), "has no channel 'l9'"),
        (TIME + DEVICE + POWER.replace("ac_power_kw", "rated_power_kw"), "is a property of the device"),
        (TIME + DEVICE + POWER.replace('"W"', '"Wh"'), "unit 'Wh' does not become 'kW'; write one of kW, W, MW"),
        (TIME + DEVICE + POWER + "scale = 0\n", "scale is 0"),
        (TIME + DEVICE + POWER + "sign = 2\n", "values.0.sign is 2"),
        (TIME + DEVICE + POWER + 'words = { a = "b" }\n', "words are for operating_state"),
        (TIME + DEVICE + '[[values]]\nsource = "a"\nmetric = "fault_codes"\nscale = 2\n', "scale is for numbers"),
        (
            TIME + DEVICE + '[[values]]\nsource = "a"\nmetric = "operating_state"\nwords = { Run = "running" }\n',
            "words lead to 'running', which is none of off, sleeping",
        ),
        (
            TIME + DEVICE + '[long]\nmetric_column = "m"\nvalue_column = "v"\n' + POWER + POWER.replace("ac_", "dc_"),
            "values.1 has the source 'PAC' again",
        ),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_refused(text: str, said: str) -> None:
    with pytest.raises(MappingError) as caught:
        read(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith("the mapping 'mapping.toml'")


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(MappingError) as caught:
        read(TIME.replace("Karachi", "Nowhere") + DEVICE + POWER + "sign = 0\n")
    assert "Asia/Nowhere" in str(caught.value)
    assert "values.0.sign" in str(caught.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="No such file"):
        load_mapping(tmp_path / "none.toml")
    wrong = tmp_path / "latin.toml"
    wrong.write_bytes("source = 'Grüße'".encode("latin-1"))
    with pytest.raises(MappingError, match="is not UTF-8"):
        load_mapping(wrong)
