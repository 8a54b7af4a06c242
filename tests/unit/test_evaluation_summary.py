"""Tables on the screen and on the page: whole, aligned, escaped, with what must be known first."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from evaluation.summary import Picture, Table, fixed, percent, screen, write_summary

NAN = float("nan")


def test_columns_of_a_table_stand_below_each_other() -> None:
    table = Table("Title", ("name", "n"), [("a", "1"), ("longer", "10")], "A note.")
    assert table.text() == "Title\nname     n\na        1\nlonger  10\nA note.\n"


def test_numbers_have_their_digits_and_nothing_is_a_dash() -> None:
    assert (percent(0.12345), percent(0.12345, 2), percent(NAN)) == ("12.3", "12.35", "–")
    assert (fixed(1.26), fixed(1.0, sign=True), fixed(NAN)) == ("1.3", "+1.0", "–")


def test_what_must_be_known_comes_first() -> None:
    text = screen([Table("T", ("a",), [("b",)])], ["all nights are simulated"])
    assert text.startswith("NOTE: all nights are simulated\n")


def test_the_page_needs_no_other_file_and_names_become_no_markup(tmp_path: Path) -> None:
    table = Table("T", ("stager",), [("<script>alert(1)</script>",)])
    picture = Picture("figure", Figure(figsize=(1, 1)), "What it shows")
    write_summary(tmp_path, "A <title>", [table, picture], ["simulated"], stamp="simulated nights")
    page = (tmp_path / "summary.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("data:image/png;base64,") == 1
    assert "http" not in page.replace("http-equiv", "")
    assert 'class="banner">simulated<' in page
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert [text.get_text() for text in picture.figure.texts] == ["simulated nights"]
