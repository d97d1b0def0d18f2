"""`farero dashboard`: what goes in comes out, byte for byte, and what is odd is said."""

import json

import pytest

WIDGET = {
    "type": "metric", "x": 0, "y": 0, "width": 12, "height": 6,
    "properties": {"region": "us-east-1", "metrics": [["Shop", "Orders"]], "title": "ñandú"},
}  # fmt: skip
#: Odd blanks and a line end that no program would write again.
BODY = json.dumps({"widgets": [WIDGET]}, indent=3, ensure_ascii=False) + " \r\n"
ODD = json.dumps({"widgets": [WIDGET | {"width": 99}]})


def dashboard(platform, *arguments, **options):
    return platform.farero("dashboard", *arguments, **options)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    (made / "one.json").write_bytes(BODY.encode())
    (made / "two.json").write_bytes(ODD.encode())
    return made


def test_a_folder_of_dashboards_goes_in_and_comes_out_the_same(shared_platform, folder, tmp_path):
    put = dashboard(shared_platform, "import", str(folder))
    listed = dashboard(shared_platform, "ls").stdout
    written = dashboard(shared_platform, "export", "one", "two", "--to", str(tmp_path / "out"))
    printed = dashboard(shared_platform, "export", "two").stdout
    removed = dashboard(shared_platform, "rm", "one", "two", "--yes").stdout
    gone = dashboard(shared_platform, "export", "one", check=False)

    assert f"put one from {folder / 'one.json'}\nput two" in put.stdout
    assert "  /widgets/0/width: " in put.stdout
    assert {"DASHBOARD", "one", "two"} <= {line.split()[0] for line in listed.splitlines()}
    assert f"wrote {tmp_path / 'out' / 'one.json'}" in written.stdout
    assert (tmp_path / "out" / "one.json").read_bytes() == BODY.encode()
    assert (tmp_path / "out" / "two.json").read_bytes() == ODD.encode()
    assert printed == ODD
    assert removed == "deleted dashboard one\ndeleted dashboard two\n"
    assert gone.stderr.startswith("E-NO-DASHBOARD  there is no dashboard 'one'")


def test_what_is_odd_is_in_the_json_too(shared_platform, folder):
    done = dashboard(shared_platform, "import", str(folder / "two.json"), "--name", "odd", "--json")
    dashboard(shared_platform, "rm", "odd", "--yes")

    [put] = json.loads(done.stdout)["put"]
    assert put["name"] == "odd"
    assert [message["DataPath"] for message in put["messages"]] == ["/widgets/0/width"]


@pytest.mark.parametrize(
    ("files", "arguments", "code", "says"),
    [
        ({}, ["nowhere.json"], "E-FILE", "does not exist"),
        ({}, ["."], "E-DASHBOARD", "no file ends in .json"),
        ({"a.json": "{"}, ["a.json"], "E-JSON", "this is no JSON"),
        ({"a.json": "[1]"}, ["a.json"], "E-JSON", "a dashboard is a JSON object"),
        ({"a b.json": "{}"}, ["."], "E-DASHBOARD", "--name a-b"),
        ({"a.json": "{}", "b.json": "{}"}, [".", "--name", "x"], "E-DASHBOARD", "one file, not 2"),
        # Nothing is put if one of them cannot be.
        ({"a.json": "{}", "b.json": "no"}, ["."], "E-JSON", "b.json"),
    ],
)
def test_a_file_that_is_no_dashboard_is_named(shared_platform, tmp_path, files, arguments, code, says):  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    given = [str(tmp_path / arguments[0]), *arguments[1:]]

    done = dashboard(shared_platform, "import", *given, check=False)

    assert (done.returncode, done.stderr.startswith(f"{code}  ")) == (2, True)
    assert says in done.stderr
    assert "\n  fix:   " in done.stderr
    assert "a" not in [
        one["DashboardName"]
        for one in shared_platform.client("cloudwatch").list_dashboards()["DashboardEntries"]
    ]
