"""Details and class lists: what is taken, and one clear sentence for what is not."""

from pathlib import Path

import pytest
from cost import put_in_the_way, within

from classlab.course.details import details, read_born, read_class_list
from classlab.errors import UserError


def test_details_are_tidied():
    student = details(" 18/03/02 ", " b20ai052 ", "  Ada   Mary ", "Lovelace")
    assert (student.born, student.roll, student.first) == ((18, 3, 2), "B20AI052", "Ada Mary")


def test_the_code_depends_on_date_roll_and_salt_and_on_nothing_else():
    ada = details("18/03/02", "B20AI052", "Ada")
    assert ada.code("x") == details("18/03/02", "b20ai052", "Bob").code("x") == "244c8ae2e7"
    others = [details("19/03/02", "B20AI052"), details("18/03/02", "B20AI053"), details("18/12/02", "B20AI052")]
    assert len({ada.code("x"), ada.code("y"), *(other.code("x") for other in others)}) == 5


WRITTEN = "a birth date is written DD/MM/YY, for example 18/03/02; got "


@pytest.mark.parametrize("text", ["29/02/00", "29/02/04", "31/12/99", "01/01/00", "30/04/01"])
def test_dates_that_exist(text):
    assert "/".join(f"{part:02d}" for part in read_born(text)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("31/02/02", "February of a year 02 has the days 01 to 28; got '31/02/02'"),
        ("29/02/01", "February of a year 01 has the days 01 to 28; got '29/02/01'"),
        ("31/04/02", "April of a year 02 has the days 01 to 30; got '31/04/02'"),
        ("00/04/02", "April of a year 02 has the days 01 to 30; got '00/04/02'"),
        ("03/18/02", "a birth date is written DD/MM/YY, the month second, 01 to 12; got month 18 in '03/18/02'"),
        ("18-03-02", WRITTEN + "'18-03-02', which has no slashes between day, month and year"),
        ("2002-03-18", WRITTEN + "'2002-03-18', which has no slashes between day, month and year"),
        ("18/03/2002", WRITTEN + "'18/03/2002', whose year has four digits: give the last two"),
        ("8/3/02", WRITTEN + "'8/3/02': give two digits each, with a leading zero"),
        ("١٨/٠٣/٠٢", WRITTEN + "'١٨/٠٣/٠٢'"),
        ("", WRITTEN + "''"),
    ],
)
def test_dates_that_do_not(text, sentence):
    with pytest.raises(UserError) as caught:
        read_born(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("roll", ["", "../../etc", "a" * 41, "=1+1", "B20\u0661"])
def test_roll_numbers_that_are_none(roll):
    with pytest.raises(UserError, match="a roll number holds letters, digits"):
        details("18/03/02", roll)


def listed(tmp_path, text, encoding="utf-8"):
    file = tmp_path / "class.csv"
    file.write_bytes(text.encode(encoding))
    return read_class_list(file)


def test_a_class_list_may_come_from_a_spreadsheet(tmp_path):
    text = "Roll;Born;First\r\nB20AI052;18/03/02;Ada\r\n\r\nB20AI053;19/03/02;Zoë\r\n"
    for encoding in ("utf-8", "utf-8-sig"):
        students = listed(tmp_path, text, encoding)
        assert [(line, student.roll, student.first) for line, student in students] == [
            (2, "B20AI052", "Ada"), (4, "B20AI053", "Zoë"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", " is empty: its first line names the columns, born and roll among them"),
        ("born,roll\n", " names no student: below the line of column names there is nothing"),
        (
            "born,rol\n18/03/02,1\n",
            ": there is no column 'rol'; did you mean roll? known: born, roll, first, last, programme",
        ),
        ("born\n18/03/02\n", ": the first line must name the columns, born and roll among them once; got ['born']"),
        (
            "born,roll\n18/03/02,B1\n31/02/02,B2\n",
            ", line 3: February of a year 02 has the days 01 to 28; got '31/02/02'",
        ),
        ("born,roll\n18/03/02\n", ", line 2: 2 cells are wanted (born, roll), got 1"),
        ("born,roll\n,B1\n", ", line 2: born is empty"),
        ("born,roll\n18/03/02,B1\n19/03/02,b1\n", ", line 3: the roll number B1 stands in line 2 already"),
        (
            "born,roll\n18.03.02,B1\n18/03/02,\n",
            f", line 2: {WRITTEN}'18.03.02', which has no slashes between day, month and year; line 3: roll is empty",
        ),
        ('born,roll\n"18/03/02,B1\n', ", line 2: this is not CSV (unexpected end of data)"),
    ],
)
def test_bad_rows_are_named_by_their_line(tmp_path, text, sentence):
    with pytest.raises(UserError) as caught:
        listed(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'class.csv'}{sentence}"


def test_class_lists_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"^there is no file nowhere.csv$"):
        read_class_list(Path("nowhere.csv"))
    with pytest.raises(UserError, match="is not a text file in UTF-8; save the class list as CSV UTF-8"):
        listed(tmp_path, "born,roll,first\n18/03/02,B1,Zoë\n", "latin-1")
    many = "born,roll\n" + "x,1\n" * 7
    with pytest.raises(UserError, match=r"; and 2 more bad lines$"):
        listed(tmp_path, many)


def test_a_class_list_that_is_no_regular_file_or_far_too_long_is_told_at_once(tmp_path):
    for path in put_in_the_way(tmp_path, ".csv"):
        with within(0.5), pytest.raises(UserError, match=r"is not a regular file|there is no file|cannot be read"):
            read_class_list(path)
    with (tmp_path / "long.csv").open("wb") as file:
        file.truncate(10**10)
    with (
        within(0.5, 50),
        pytest.raises(UserError, match="holds 10,000,000,000 bytes, and of such a file at most 5,000,000"),
    ):
        read_class_list(tmp_path / "long.csv")


@pytest.mark.parametrize(
    "text",
    [
        "born,roll\n" + "x,y\n" * 1_000_000,
        "born,roll\n" + "18/03/02,B20AI052\n" * 250_000,
        "born,roll\n18/03/02," + "B" * 4_900_000,
        "born," * 900_000,
        "born,roll\n" + '"' * 4_900_000,
        "born,roll\n" + "," * 4_900_000,
        "\n" * 4_900_000,
    ],
)
def test_a_class_list_of_five_megabytes_that_is_none_is_refused_in_two_seconds(text, tmp_path):
    (tmp_path / "class.csv").write_text(text)
    with within(2.5), pytest.raises(UserError) as told:
        read_class_list(tmp_path / "class.csv")
    assert len(str(told.value)) <= 1_600


def test_excel_s_mark_at_the_beginning_of_a_file_is_no_name(tmp_path):
    (tmp_path / "class.csv").write_text("\ufeffborn,roll\n18/03/02,B20AI052\n")
    assert len(read_class_list(tmp_path / "class.csv")) == 1
