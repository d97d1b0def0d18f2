"""The page: what it shows of one window and of many, in both languages, within its size, whatever the data holds."""

import dataclasses
import json
import re
import string
import subprocess
import sys
from html.parser import HTMLParser

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from farero_monitor import words
from farero_monitor.dataset import Source
from farero_monitor.drift.verdict import Finding
from farero_monitor.history import (
    MOST,
    Figure,
    Quality,
    Together,
    Window,
    drifted,
    of_content,
    read,
)
from farero_monitor.monitor import Baseline, judge, take_baseline
from farero_monitor.report import texts
from farero_monitor.report.page import page


class Page(HTMLParser):
    """What a browser sees of a page: elements, attributes, texts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def judged(folder, then, now, **options):
    """Return the result of a window and its baseline, both given as columns."""
    folder.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.table(then), folder / "then.parquet")
    pa.parquet.write_table(pa.table(now), folder / "now.parquet")
    take_baseline(Source(folder / "then.parquet", "parquet"), folder / "baseline", workers=1)
    baseline = Baseline.of_folder(folder / "baseline")
    source = Source(folder / "now.parquet", "parquet")
    return judge(source, baseline, folder / "out", workers=1, **options), baseline


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A window in which `size` and `city` moved and `age` did not."""
    rng = np.random.default_rng(1)
    cities = np.array(["lima", "quito", "cuenca", "tokyo"])
    then = {
        "size": rng.normal(70, 20, 5000), "age": rng.normal(30, 9, 5000),
        "city": cities[rng.choice(3, 5000, p=[0.6, 0.3, 0.1])],
    }  # fmt: skip
    now = {
        "size": rng.normal(95, 20, 2000), "age": rng.normal(30, 9, 2000),
        "city": cities[rng.choice([0, 1, 3], 2000, p=[0.6, 0.3, 0.1])],
    }  # fmt: skip
    return judged(tmp_path_factory.mktemp("drifting"), then, now)


@pytest.fixture
def drifting(once):
    """The same for each test to change, without what other analyses add."""
    result, baseline = once
    return dataclasses.replace(result, more={}, earlier=[]), baseline


def test_the_page_says_what_changed_by_how_much_and_what_is_new_or_gone(drifting):
    result, baseline = drifting
    html = page(result, baseline)
    seen = Page(html)

    assert result.verdict.sentence in seen.text
    assert "The mean moved by +1.2" in seen.text
    assert re.search(r"moved by 2[45]\.\d+ on average", seen.text)  # in its own unit
    assert "tokyo (new)" in seen.text
    assert "cuenca (gone)" in seen.text
    assert re.search(r"at most 0\.4\d\d apart, at \d+", seen.text)
    assert "would have been found in any column" in seen.text
    assert not re.search(r"(\bsrc=|href|url|import|@font-face|<script|<link)", html)
    assert "default-src 'none'" in html


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_table_of_words_is_complete_and_fills_in_the_same_facts(language):
    def fields(text):
        return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)

    for tables in (words.TABLES, texts.TABLES):
        for key, text in tables["en"].items():
            assert fields(text) == fields(tables[language][key]), key
        assert tables["en"].keys() == tables[language].keys()


def test_the_page_is_spanish_throughout(drifting):
    result, baseline = drifting
    seen = Page(page(result, baseline, language="es"))

    assert ("lang", "es") in seen.attributes
    assert "de 3 columnas cambiaron: " in seen.text
    assert "La media se movió +1.2" in seen.text
    assert "tokyo (nuevo)" in seen.text
    english = {
        text for key, text in texts.EN.items()
        if text != texts.ES[key] and "{" not in text and len(text) > 9
    }  # fmt: skip
    assert [text for text in english if re.search(rf"\b{re.escape(text)}(?!\w)", seen.text)] == []


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"), ({"LANG": "es_EC.UTF-8"}, "es"), ({"LANG": "C.UTF-8"}, "en"),
        ({"LC_ALL": "en_GB", "LANG": "es_ES"}, "en"), ({"LC_MESSAGES": "es", "LANG": "en_US"}, "es"),
    ],
)  # fmt: skip
def test_the_language_is_that_of_the_environment(environ, language):
    assert words.of_environment(environ) == language


def test_a_finding_of_another_part_is_shown_as_it_stands(drifting):
    assert Finding("notice", "other", "x", "Something.").text_in("es") == "Something."


HOSTILE = [
    "<img src=x onerror=alert(1)>", "</title><script>alert(1)</script>", '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)", "</style><b>", "{0.__class__}", "{gap}", "javascript:alert(1)",
    "&lt;b&gt;", "\u202egnp.exe", "a\x00b", "]]><!--", "x" * 5000, " ",
]  # fmt: skip


def test_names_and_values_of_the_data_stay_text(tmp_path):
    rng = np.random.default_rng(2)
    then = {name: rng.choice(HOSTILE[:5], 400) for name in HOSTILE}
    now = {name: rng.choice(HOSTILE[5:], 400) for name in [*HOSTILE[:-1], "<u>more</u>"]}
    then["n<b>"], now["n<b>"] = rng.normal(size=400), rng.normal(3, 1, size=400)
    result, baseline = judged(tmp_path, then, now)
    result.profile.unread.add("<i>file</i>", "<line>", "<reason>")
    result.earlier = [Window(10, start="<b>", end="<b>", columns=())]
    for language in ("en", "es"):
        html = page(result, baseline, "<i>title</i>", language=language)
        seen = Page(html)

        assert {*seen.tags} <= {
            "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "div",
            "section", "table", "thead", "tbody", "tr", "th", "td", "span", "i", "b", "ul", "li",
            "svg", "path", "rect", "circle", "text", "details", "summary",
        }  # fmt: skip
        assert html.count("<i") == 2 * html.count('class="key dim"')
        assert not [name for name, _ in seen.attributes if name.startswith("on")]
        assert {"src", "href", "xlink:href", "action"}.isdisjoint(
            name for name, _ in seen.attributes
        )
        assert "<img src=x onerror=alert(1)>" in seen.text
        assert "\\u202egnp.exe" in seen.text  # written out, as it would turn what follows
        assert not [
            character for character in html if character != "\n" and not character.isprintable()
        ]
        assert len(html.encode()) < 300_000


def wide(columns, rows=220):
    """Return columns of numbers with few values missing, every tenth of texts, every fifth moved."""
    rng = np.random.default_rng(columns)
    gone = rng.random(rows) < 0.05
    then, now = {}, {}
    for index in range(columns):
        name = f"a column with a rather long name, {index}"
        if index % 10 == 9:
            values = np.array([f"value {number} of column {index}" for number in range(40)])
            then[name], now[name] = rng.choice(values, (2, rows))
        else:
            then[name] = pa.array(rng.normal(size=rows), mask=gone)
            now[name] = pa.array(rng.normal(index % 5 == 0, 1, size=rows), mask=gone)
    return then, now


def windows(result, count):
    """Return as many earlier windows with the same columns."""
    content = msgspec.to_builtins(of_content(result.report()))
    stamp = "2026-01-{:02}T00:00:00Z"
    return [
        of_content(content | {"start": stamp.format(day + 1), "end": stamp.format(day + 2)})
        for day in range(count)
    ]


def many(result, baseline, times):
    """Make a judged window that many times as wide, by giving its columns more names."""
    judged = result.verdict.columns
    result.verdict.columns = []
    for column in judged:
        for copy in range(times):
            name = f"{column.name}/{copy}"
            result.verdict.columns.append(dataclasses.replace(column, name=name))
            result.profile.columns[name] = result.profile.columns[column.name]
            baseline.references[name] = baseline.references[column.name]


@pytest.mark.parametrize(
    ("columns", "times", "most", "drawn"),
    [(20, 1, 300_000, 20), (1_000, 1, 2_000_000, 400), (1_000, 10, 2_000_000, 400)],
)
def test_a_page_stays_small_however_many_columns_there_are(tmp_path, columns, times, most, drawn):
    result, baseline = judged(tmp_path, *wide(columns))
    many(result, baseline, times)
    result.earlier = windows(result, 30)
    html = page(result, baseline, language="es")

    assert len(html.encode()) <= most
    cards = html.count('<section class="card changed"') + html.count('<section class="card same"')
    assert cards >= drawn
    left_out = re.search(r"No se dibujan ([\d,]+) columnas", html)
    assert (int(left_out[1].replace(",", "")) if left_out else 0) + cards == columns * times
    assert ("No se listan 9,000 columnas" in html) == (times == 10)


def test_earlier_windows_are_read_in_order_and_what_is_none_is_named(tmp_path):
    for day in (3, 1, 2):
        folder = tmp_path / "runs" / str(day)
        folder.mkdir(parents=True)
        content = {
            "rows": day, "start": f"2026-01-0{day}T00:00:00Z", "end": f"2026-01-0{day + 1}T00:00:00Z",
            "columns": [{"name": "a", "state": "changed" if day > 1 else "same", "score": None}],
            "unheard": ["of"],
        }  # fmt: skip
        (folder / "drift_report.json").write_text(json.dumps(content))
    (tmp_path / "drift_report.json").write_text("[]")
    history = read(tmp_path)

    assert [window.rows for window in history.windows] == [1, 2, 3]
    assert [file for file, _ in history.left_out] == [str(tmp_path / "drift_report.json")]
    assert drifted(history.windows) == [["a"], ["a"], []]
    # the third again is not its own past, and nothing of the future is
    before = history.before("2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z")
    assert [window.rows for window in before] == [1, 2]
    assert history.before("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z") == []
    assert len(history.before("", "")) == 3


def test_no_more_windows_are_kept_than_are_drawn(tmp_path):
    for index in range(MOST + 5):
        folder = tmp_path / f"{index:03}"
        folder.mkdir()
        (folder / "drift_report.json").write_text(json.dumps({"rows": index}))
    assert [window.rows for window in read(tmp_path).windows] == list(range(5, MOST + 5))


def test_the_page_draws_windows_over_time_with_limits(drifting):
    result, baseline = drifting
    alone = page(result, baseline)
    result.earlier = windows(result, 4)
    html = page(result, baseline)

    assert "Over time" not in alone
    assert "5 windows, this one at the right." in html
    assert html.count("Score over time") == 3
    assert "01-01 00:00" in html
    # each line has five points; the limit of the scores is dashed
    lines = re.findall(r'<path class="c" d="(M[^V"]+)"/><circle', html)
    assert {line.count("L") for line in lines} == {4}
    assert html.count('<path class="l"') == 4


def quality(value, state):
    figure = Figure(value, value - 0.02, value + 0.02, 0.9, 0.85, 0.95, state)
    return Quality({"accuracy": figure, "<b>": Figure()}, "CBPE", 90, 100)


def test_the_page_shows_measured_and_estimated_quality_with_bands(drifting):
    result, baseline = drifting
    result.earlier = [
        Window(10, estimated=quality(0.9, "same")), Window(10, quality=quality(0.88, "same")), Window(10),
    ]  # fmt: skip
    result.more = msgspec.to_builtins(
        {"estimated": quality(0.8, "worse"), "quality": quality(0.82, "worse"), "together": Together(0.7, changed=True, pairs=(("a", "<b>"),))}
    )  # fmt: skip
    html = page(result, baseline)
    result.more = {"estimated": {"method": "DLE", "reason": "No <labels>."}}
    without = Page(page(result, baseline))
    seen = Page(html)

    assert "Quality, measured with labels" in seen.text
    assert re.search(r"accuracy\s+0\.8\s+0\.78 to 0\.82\s+0\.9\s+0\.85 to 0\.95\s+worse", seen.text)
    assert "From 90 of 100 records." in seen.text
    assert "It can: ROC AUC 0.700. Most of all by a, <b>." in seen.text
    assert html.count('class="f"') == 2  # both have a band over more than one window
    assert "No <labels>." in without.text


def test_with_a_history_a_column_is_told_when_it_changed_in_two_of_three_windows(
    drifting, tmp_path
):
    result, baseline = drifting
    folder = tmp_path / "runs"
    folder.mkdir()
    content = result.report()
    quiet = content | {"columns": [column | {"state": "same"} for column in content["columns"]]}
    now = tmp_path / "now.parquet"
    rng = np.random.default_rng(3)
    pa.parquet.write_table(
        pa.table(
            {
                "size": rng.normal(95, 20, 2000),
                "age": rng.normal(30, 9, 2000),
                "city": ["lima"] * 2000,
            }
        ),
        now,
    )

    def told(before, **options):
        (folder / "drift_report.json").write_bytes(msgspec.json.encode(before))
        found = judge(Source(now, "parquet"), baseline, history=read(folder), workers=1, **options)
        return {finding.column for finding in found.verdict.findings}, page(found, baseline)

    once, html = told(quiet)
    at_once, html_at_once = told(quiet, at_once=True)
    twice, html_twice = told(content)

    assert "size" in at_once
    assert "2 windows" in html_at_once
    assert "size" not in once
    assert "changed in this window alone" in html
    assert "size" in twice
    assert "changed in this window alone" not in html_twice


def test_the_command_line_draws_a_history_in_spanish(drifting, tmp_path):
    rng = np.random.default_rng(4)
    (tmp_path / "train.csv").write_text("a\n" + "\n".join(map(str, rng.normal(size=900))) + "\n")

    def run(*arguments, **environ):
        return subprocess.run(
            [sys.executable, "-m", "farero_monitor", *map(str, arguments)],
            capture_output=True, text=True, check=True, env=environ,
        )  # fmt: skip

    run("baseline", tmp_path / "train.csv", "-o", tmp_path / "b")
    for day in (1, 2, 3):
        done = run(
            "run", tmp_path / "train.csv", "-b", tmp_path / "b", "-o", tmp_path / "runs" / str(day),
            "--history", tmp_path / "runs", "--report", tmp_path / f"{day}.html",
            *(["--language", "en"] if day == 2 else []), LANG="es_EC.UTF-8",
        )  # fmt: skip
        assert done.stderr == ""
    (tmp_path / "runs" / "1" / "drift_report.json").write_text("{")
    broken = run(
        "run",
        tmp_path / "train.csv",
        "-b",
        tmp_path / "b",
        "--history",
        tmp_path / "runs",
        LANG="C",
    )

    assert "Informe de deriva" in (tmp_path / "1.html").read_text()
    assert "2 windows" in (tmp_path / "2.html").read_text()
    assert "3 ventanas" in (tmp_path / "3.html").read_text()
    assert "is no report of an earlier window and left out" in broken.stderr


def test_the_container_draws_the_reports_it_is_given(drifting, tmp_path):
    result, _ = drifting
    (tmp_path / "train.csv").write_text(
        "a\n" + "\n".join(f"{i / 7:.3f}" for i in range(900)) + "\n"
    )
    (tmp_path / "history" / "1").mkdir(parents=True)
    (tmp_path / "history" / "1" / "drift_report.json").write_bytes(
        msgspec.json.encode(result.report())
    )
    (tmp_path / "history" / "2").mkdir()
    (tmp_path / "history" / "2" / "drift_report.json").write_bytes(b"[]")

    def run(**environ):
        done = subprocess.run(
            [sys.executable, "-m", "farero_monitor.container"], capture_output=True, text=True, check=False,
            env={
                "dataset_source": str(tmp_path / "train.csv"), "dataset_format": '{"csv": {"header": true}}',
                "SAGEMAKER_BASE_DIR": str(tmp_path / "ml"), **environ,
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(output_path=str(tmp_path / "b"))
    told = run(
        output_path=str(tmp_path / "out"), baseline_constraints=str(tmp_path / "b" / "constraints.json"),
        baseline_statistics=str(tmp_path / "b" / "statistics.json"),
        history_source=str(tmp_path / "history"), LANG="es_MX.UTF-8",
    )  # fmt: skip
    html = (tmp_path / "out" / "report.html").read_text()

    assert "2 ventanas; esta, a la derecha." in html
    assert "2/drift_report.json is no report of an earlier window and left out" in told
