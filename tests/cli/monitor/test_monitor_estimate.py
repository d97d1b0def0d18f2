"""A baseline with labels: captured answers are told to be as good as they were, or worse, before any label comes."""

import numpy as np
import xgboost as xgb


def test_the_error_of_captured_answers_is_estimated(watch, flats_model, rows_of):
    watched = watch("flats-estimate")
    path, table = flats_model
    rng = np.random.default_rng(1)
    booster = xgb.Booster(model_file=path)
    told = booster.predict(xgb.DMatrix(table[:, 1:]))
    # nobody can predict the price of a flat with more than four rooms
    sold = table[:, 0] + rng.normal(size=len(table)) * (3 + 60 * (table[:, 1] > 4))
    train = watched.folder / "labelled.csv"
    columns = np.column_stack([table[:, 1:], told, sold])
    np.savetxt(train, columns, "%.4f", ",", header="rooms,size,age,told,sold", comments="")

    watched.farero(
        "monitor", "baseline", watched.name, str(train), "--target", "sold", "--prediction", "told"
    )
    watched.send(rows_of(400, seed=2))
    same = watched.json("monitor", "run", watched.name, "--last", "400")
    watched.send(rows_of(400, seed=3, shift=1.5))
    worse = watched.json("monitor", "run", watched.name, "--last", "400", check=False)

    assert same["severity"] == "none"
    assert same["estimated"]["figures"]["mae"]["state"] == "same"
    assert worse["estimated"]["figures"]["mae"]["state"] == "worse"
    assert worse["findings"][0]["kind"] == "estimated quality"
    assert "baseline.estimate" in {key.rpartition("/")[2] for key in watched.objects("")}

    watched.farero("monitor", "baseline", watched.name, str(watched.train))
    assert "baseline.estimate" not in {key.rpartition("/")[2] for key in watched.objects("")}
