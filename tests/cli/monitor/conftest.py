"""Endpoints that capture everything, with their training data; `farero` with a cache of its own."""

import json

import numpy as np
import pytest
import xgboost as xgb

NAMES = ("price", "rooms", "size", "age")


class Watched:
    """An endpoint of the shared platform that captures every request: it answers a price for rooms, size and age."""

    def __init__(self, platform, name, folder):
        self.platform, self.name, self.folder = platform, name, folder
        self.train = folder / "train.csv"
        self._env = {**platform.env, "XDG_CACHE_HOME": str(folder / "cache")}

    def farero(self, *arguments, check=True, env=None):
        """Run the CLI; return the finished process."""
        return self.platform.farero(*arguments, check=check, env={**self._env, **(env or {})})

    def json(self, *arguments, check=True):
        """Run `farero --json`; return what it printed."""
        return json.loads(self.farero("--json", *arguments, check=check).stdout)

    def send(self, rows, ids=None):
        """Send rows one by one, with inference ids if there are any; return the answers."""
        runtime = self.platform.client("sagemaker-runtime")
        answers = []
        for index, row in enumerate(rows):
            named = {"InferenceId": ids[index]} if ids else {}
            body = ",".join(f"{value:.4f}" for value in row)
            answer = runtime.invoke_endpoint(
                EndpointName=self.name, ContentType="text/csv", Body=body, **named
            )
            answers.append(float(answer["Body"].read()))
        return answers

    def objects(self, prefix):
        """Return the keys below a prefix of this endpoint's monitor."""
        found = self.platform.client("s3").list_objects_v2(
            Bucket=self.platform.bucket, Prefix=f"farero-monitor/{self.name}/{prefix}"
        )
        return [one["Key"] for one in found.get("Contents", [])]

    def body(self, key):
        """Return an object of the default bucket."""
        got = self.platform.client("s3").get_object(Bucket=self.platform.bucket, Key=key)
        return got["Body"].read()

    def captured(self):
        """Return the records that have come to S3."""
        s3 = self.platform.client("s3")
        prefix = f"model-monitor/data-capture/{self.name}/"
        found = s3.list_objects_v2(Bucket=self.platform.bucket, Prefix=prefix)
        lines = [
            line for one in found.get("Contents", []) for line in self.body(one["Key"]).splitlines()
        ]
        return [json.loads(line) for line in lines]


def flats(rows, seed, *, shift=0.0):
    """Return rows of rooms, size and age that differ so much that nobody could confuse them."""
    rng = np.random.default_rng(seed)
    return rng.normal([3 + shift, 70, 30], [1, 15, 8], (rows, 3)).round(4)


def prices(rows):
    """Return what flats cost."""
    return (rows @ [50.0, 9.0, -1.0]).round(4)


@pytest.fixture(scope="session")
def flats_model(tmp_path_factory):
    """A model file, and the training data as rows with the price first."""
    rows = flats(5000, 5)
    path = tmp_path_factory.mktemp("flats") / "prices.ubj"
    xgb.train({"max_depth": 4}, xgb.DMatrix(rows, prices(rows)), 60).save_model(path)
    return path, np.column_stack([prices(rows), rows])


@pytest.fixture(scope="session")
def watch_model(shared_platform, tmp_path_factory):
    """A function: name, model file, options of `deploy` → a new endpoint that captures everything."""

    def deploy(name, path, *options):
        watched = Watched(shared_platform, name, tmp_path_factory.mktemp(name))
        shared_platform.farero("deploy", str(path), "--name", name, "--capture", "100", *options)
        return watched

    return deploy


@pytest.fixture(scope="session")
def watch(watch_model, flats_model):
    """A function: name, options of `deploy` → a new endpoint that tells what flats cost, and captures everything."""
    path, table = flats_model

    def deploy(name, *options):
        watched = watch_model(name, path, *options)
        write_csv(watched.train, table)
        return watched

    return deploy


def write_csv(path, table, names=NAMES):
    """Write a table as CSV with a header."""
    np.savetxt(path, table, "%.4f", ",", header=",".join(names), comments="")
    return path


@pytest.fixture(scope="session")
def rows_of():
    """The function that makes flats."""
    return flats


@pytest.fixture
def watch_nobody(shared_platform):
    """A function: arguments → a finished command that is expected to fail."""
    return lambda *arguments: shared_platform.farero(*arguments, check=False)
