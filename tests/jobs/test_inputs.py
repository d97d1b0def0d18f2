import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.jobs.inputs import InputError, download_channel, relative_path
from farero.objects.local import LocalObjects
from farero.records.job import Channel


@pytest.fixture
def objects(store, clock, tmp_path):
    blobs = LocalObjects(store, tmp_path / "objects", clock)
    blobs.ensure_bucket("bkt")
    return blobs


def fetch(objects, tmp_path, uri, **members):
    folder = tmp_path / "data"
    download_channel(objects, Channel(name="train", s3_uri=uri, **members), folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bkt/data/train", {"a.csv", "deep/b.csv"}),
        ("s3://bkt/data/train/", {"a.csv", "deep/b.csv"}),
        ("s3://bkt/data/train/a.csv", {"a.csv"}),
        ("s3://bkt/data/tr", {"train/a.csv", "train/deep/b.csv"}),
        ("s3://bkt/data/val-", {"val-1.csv", "val-2.csv"}),
        (
            "s3://bkt",
            {"data/train/a.csv", "data/train/deep/b.csv", "data/val-1.csv", "data/val-2.csv"},
        ),
    ],
)
def test_prefix_gives_the_files_below_it(objects, tmp_path, uri, expected):
    for key in ("train/a.csv", "train/deep/b.csv", "val-1.csv", "val-2.csv"):
        objects.put("bkt", f"data/{key}", key.encode())
    objects.put("bkt", "data/train/", b"")

    assert set(fetch(objects, tmp_path, uri)) == expected


def test_manifest_names_its_files(objects, tmp_path):
    objects.put(
        "bkt", "m.json", json.dumps([{"prefix": "s3://bkt/d/"}, "a.csv", "x/b.csv"]).encode()
    )
    objects.put("bkt", "d/a.csv", b"1")
    objects.put("bkt", "d/x/b.csv", b"2")

    found = fetch(objects, tmp_path, "s3://bkt/m.json", data_type="ManifestFile")

    assert found == {"a.csv": b"1", "x/b.csv": b"2"}


def test_gzip_channel_is_unpacked(objects, tmp_path):
    objects.put("bkt", "d/a.csv.gz", gzip.compress(b"1,2\n"))

    assert fetch(objects, tmp_path, "s3://bkt/d", compression="Gzip") == {"a.csv": b"1,2\n"}


@pytest.mark.parametrize(
    ("objects_there", "members", "words"),
    [
        ({}, {}, "NoSuchKey (404)"),
        ({}, {"uri": "s3://nonesuch/x"}, "NoSuchBucket (404)"),
        ({"d/a": b"", "d/a/b": b""}, {}, "a previously downloaded file/folder clashes with it"),
        ({"d/../../evil": b""}, {}, "has no place inside its channel's folder"),
        ({"d/a.gz": b"plain"}, {"compression": "Gzip"}, "is not in gzip format"),
        ({"d": b"[]"}, {"data_type": "ManifestFile"}, "cannot be read; expected a JSON list"),
        ({"d": b'[{"prefix": "s3://bkt/"}, 3]'}, {"data_type": "ManifestFile"}, "cannot be read"),
        ({"d": b'[{"prefix": "s3://bkt/"}, "no"]'}, {"data_type": "ManifestFile"}, "NoSuchKey"),
        ({"d": b'[{"prefix": "b"}, "no"]'}, {"data_type": "ManifestFile"}, "is not an S3 URI"),
    ],
)
def test_data_that_cannot_be_brought_is_named(objects, tmp_path, objects_there, members, words):
    for key, body in objects_there.items():
        objects.put("bkt", key, body)

    with pytest.raises(InputError) as caught:
        fetch(objects, tmp_path, **{"uri": "s3://bkt/d", **members})

    assert words in str(caught.value)


@given(st.text("ab/", max_size=6), st.text("ab/", max_size=6))
def test_place_never_leaves_the_folder_and_ends_the_key(prefix, rest):
    key = prefix + rest

    path = relative_path(prefix, key)

    assert key.endswith(path)
    assert not path.startswith("../")
