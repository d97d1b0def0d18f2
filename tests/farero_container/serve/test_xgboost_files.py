"""How model files are loaded: JSON once, then the UBJSON that was kept of it; the very same model."""

import hashlib

import numpy as np
import pytest
import xgboost as xgb

from farero_container.serve.frameworks import xgboost_files

ROWS = np.random.default_rng(1).normal(size=(300, 6)).astype(np.float32)


def train(rounds=60, **more):
    labels = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0)
    given = {"objective": "multi:softprob", "num_class": 3, "nthread": 1, **more}
    data = xgb.DMatrix(ROWS, labels, feature_names=list("abcdef"), nthread=1)
    booster = xgb.train(given, data, rounds)
    booster.set_attr(best_iteration="41", note="ein Gruß")
    return booster


BOOSTER = train()


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder beside the model."""
    monkeypatch.setenv("FARERO_KEPT_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.json"
    BOOSTER.save_model(path)
    return path


def answers(booster):
    data = xgb.DMatrix(ROWS, feature_names=booster.feature_names, nthread=1)
    return booster.predict(data, output_margin=True).tobytes(), booster.predict(data).tobytes()


def all_of(booster):
    return answers(booster), booster.attributes(), booster.feature_names, booster.save_raw("json")


@pytest.mark.parametrize("name", ["model.json", "xgboost-model"])
def test_a_later_start_reads_what_was_kept_and_it_is_the_same_model(kept, model, name):
    path = model.rename(model.with_name(name))
    first = xgboost_files.load(xgb, path)
    (file,) = kept.iterdir()

    again = xgboost_files.load(xgb, path)

    assert all_of(first) == all_of(again) == all_of(BOOSTER)
    assert kept.stat().st_mode & 0o077 == 0
    assert file.read_bytes()[32:] == bytes(BOOSTER.save_raw("ubj"))


def test_it_is_what_was_kept_that_a_later_start_reads(kept, model):
    xgboost_files.load(xgb, model)
    (file,) = kept.iterdir()
    other = bytes(train(rounds=3).save_raw("ubj"))
    file.write_bytes(hashlib.sha256(other).digest() + other)

    assert xgboost_files.load(xgb, model).num_boosted_rounds() == 3


def test_another_model_of_the_same_name_finds_nothing_of_the_first(kept, model):
    xgboost_files.load(xgb, model)
    other = train(rounds=50)
    other.save_model(model)

    assert all_of(xgboost_files.load(xgb, model)) == all_of(other)
    assert len(list(kept.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"short", b"{" + b"x" * 4000])
@pytest.mark.parametrize("is_whole", [True, False])
def test_what_is_damaged_is_not_read(kept, model, damage, is_whole):
    xgboost_files.load(xgb, model)
    (file,) = kept.iterdir()
    file.write_bytes((hashlib.sha256(damage).digest() if is_whole else b"") + damage)

    assert all_of(xgboost_files.load(xgb, model)) == all_of(BOOSTER)
    assert file.read_bytes()[32:] == bytes(BOOSTER.save_raw("ubj"))


def test_a_folder_that_cannot_be_written_to_keeps_nothing_and_harms_nobody(kept, model, capsys):
    kept.write_text("no folder")

    assert all_of(xgboost_files.load(xgb, model)) == all_of(BOOSTER)
    assert "nothing could be kept for later starts" in capsys.readouterr().out


def test_what_is_read_quickly_anyway_is_not_kept(kept, tmp_path):
    small, quick = tmp_path / "model.json", tmp_path / "model.ubj"
    train(rounds=2).save_model(small)
    BOOSTER.save_model(quick)

    assert small.stat().st_size < xgboost_files.LARGE_JSON < quick.stat().st_size
    assert xgboost_files.load(xgb, small).num_boosted_rounds() == 2
    assert all_of(xgboost_files.load(xgb, quick)) == all_of(BOOSTER)
    assert not kept.exists()


def test_without_a_folder_nothing_is_kept(model, monkeypatch):
    monkeypatch.delenv("FARERO_KEPT_DIR", raising=False)

    assert all_of(xgboost_files.load(xgb, model)) == all_of(BOOSTER)
    assert [path.name for path in model.parent.iterdir()] == ["model.json"]
