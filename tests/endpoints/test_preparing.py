"""Model files on disk and a Python for them: what is fetched, what is kept, and what goes wrong."""

import datetime as dt
import io
import os
import tarfile

import pytest

from farero.base.clock import SystemClock
from farero.base.config import Settings
from farero.compute.environments import FRAMEWORKS, Environments, Framework
from farero.endpoints.definitions import pin_data
from farero.endpoints.failures import StartFailed
from farero.endpoints.preparing import Preparer
from farero.objects.local import LocalObjects
from farero.records.endpoint import Variant
from farero.store import migrations
from farero.store.engine import Store

BARE = dict.fromkeys(FRAMEWORKS, FRAMEWORKS["none"])


def archive(**files):
    """A model.tar.gz; names are written with `__` for a slash."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(
                name.replace("__", "/").replace("_txt", ".txt").replace("_py", ".py")
            )
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return made.getvalue()


def link_archive():
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        info = tarfile.TarInfo("../outside")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    return made.getvalue()


class Bench:
    """A preparer over a real bucket and real environments."""

    def __init__(self, store, tmp_path):
        self.settings = Settings(data_dir=tmp_path)
        self.objects = LocalObjects(store, tmp_path / "objects", SystemClock())
        self.objects.ensure_bucket("bucket")
        self.said = []

    def preparer(self, frameworks=BARE, **options):
        environments = Environments(self.settings.envs_dir, frameworks=frameworks, **options)
        return Preparer(self.settings, self.objects, environments)

    def variant(self, body=None, *, image="xgboost:1.7-1", environment=None):
        container = {"Image": image, "Environment": environment or {}}
        if body is not None:
            self.objects.put("bucket", "model.tar.gz", body)
            container["ModelDataUrl"] = "s3://bucket/model.tar.gz"
        return Variant(
            name="AllTraffic",
            model_name="m",
            container=container,
            data=pin_data(self.objects, container),
        )

    def prepare(self, variant, preparer=None):
        return (preparer or self.preparer()).prepare(variant, self.said.append)

    def cause(self, variant, preparer=None):
        with pytest.raises(StartFailed) as caught:
            self.prepare(variant, preparer)
        return caught.value.failure


@pytest.fixture
def bench(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'state.db'}")
    migrations.upgrade(store)
    yield Bench(store, tmp_path)
    store.close()


def test_an_archive_is_unpacked_once_for_its_content(bench):
    body = archive(model_txt=b"one", code__inference_py=b"x = 1")

    first = bench.prepare(bench.variant(body))
    second = bench.prepare(bench.variant(body))

    assert (first.model_dir / "model.txt").read_bytes() == b"one"
    assert (first.model_dir / "code" / "inference.py").read_bytes() == b"x = 1"
    assert first.model_dir == second.model_dir
    assert [path.name for path in (bench.settings.work_dir / "models").iterdir()] == [
        first.model_dir.name
    ]


def test_what_was_fetched_serves_on_though_the_object_is_gone(bench):
    variant = bench.variant(archive(model_txt=b"one"))
    bench.prepare(variant)
    bench.objects.delete("bucket", "model.tar.gz")

    assert (bench.prepare(variant).model_dir / "model.txt").read_bytes() == b"one"


def test_files_of_models_that_nothing_uses_go_after_hours(bench):
    preparer = bench.preparer()
    variants = {}
    for name in (b"kept", b"linked", b"unused"):
        variants[name] = bench.variant(archive(model_txt=name))
        bench.prepare(variants[name], preparer)
    folders = [bench.prepare(one, preparer).model_dir for one in variants.values()]
    scratch = folders[0].with_name(".broken-off")
    scratch.mkdir()
    soon = SystemClock().now()
    later = soon + dt.timedelta(hours=7)

    assert preparer.sweep([variants[b"kept"]], {folders[1]}, soon) == 0
    assert preparer.sweep([variants[b"kept"]], {folders[1]}, later) == 2
    assert sorted(folders[0].parent.iterdir()) == sorted(folders[:2])
    assert (
        bench.prepare(variants[b"unused"], preparer).model_dir / "model.txt"
    ).read_bytes() == b"unused"


def test_files_asked_for_again_count_as_used(bench):
    preparer = bench.preparer()
    variant = bench.variant(archive(model_txt=b"one"))
    folder = bench.prepare(variant, preparer).model_dir
    os.utime(folder, (0, 0))

    again = bench.prepare(variant, preparer).model_dir

    assert preparer.sweep([], set(), SystemClock().now()) == 0
    assert again.is_dir()


ASKED = {"FARERO_ACCELERATE": "onnx"}


def test_proven_graphs_are_kept_as_long_as_the_files_they_lie_beside(bench):
    preparer = bench.preparer()
    variant = bench.variant(archive(model_txt=b"one"))
    folder = bench.prepare(variant, preparer).model_dir
    kept = folder.with_suffix(".kept")
    kept.mkdir()
    later = SystemClock().now() + dt.timedelta(days=1)

    assert preparer.sweep([variant], set(), later) == 0
    assert kept.is_dir()
    assert preparer.sweep([], {folder}, later) == 0
    assert preparer.sweep([], set(), later) == 2
    assert list(folder.parent.iterdir()) == []


def test_a_python_with_onnx_runtime_is_taken_where_it_is_asked_for(bench):
    preparer = bench.preparer(frameworks=FRAMEWORKS)

    plain = bench.prepare(bench.variant(), preparer)
    asked = bench.prepare(bench.variant(environment=ASKED), preparer)
    scripted = bench.prepare(
        bench.variant(environment={**ASKED, "SAGEMAKER_PROGRAM": "inference.py"}), preparer
    )

    assert (plain.imports, asked.imports, scripted.imports) == (
        "xgboost",
        "xgboost-accelerated",
        "xgboost",
    )
    assert (asked.framework, asked.runs) == ("xgboost", plain.runs)


def test_where_no_python_with_onnx_runtime_can_be_made_the_plain_one_serves_and_it_is_said(bench):
    nowhere = Framework(distributions=("no-such-dist",), also=(), install=("no-such-dist==1",))
    preparer = bench.preparer(
        frameworks={**FRAMEWORKS, "xgboost-accelerated": nowhere},
        pip_options=("--no-index",),
    )

    prepared = bench.prepare(bench.variant(environment=ASKED), preparer)

    assert prepared.imports == "xgboost"
    assert prepared.runs.startswith("xgboost ")
    assert any(said.startswith("warning: no Python with ONNX Runtime") for said in bench.said)


def test_another_version_than_the_tag_asks_for_is_a_warning(bench):
    xgboost = bench.preparer(frameworks=FRAMEWORKS)

    prepared = bench.prepare(
        bench.variant(image="1.dkr.ecr.x.amazonaws.com/sagemaker-xgboost:0.90-1"), xgboost
    )

    (warning,) = prepared.warnings
    assert warning.startswith(
        "[farero] warning: image sagemaker-xgboost:0.90-1 asks for xgboost 0.90; what runs here is xgboost "
    )
    assert prepared.runs.startswith("xgboost ")
    assert prepared.version_asked == "0.90"


@pytest.mark.parametrize(
    "image", ["xgboost:latest", "1.dkr.ecr.x.amazonaws.com/sagemaker-xgboost:latest"]
)
def test_a_tag_without_a_version_is_content_with_any(bench, image):
    assert (
        bench.prepare(bench.variant(image=image), bench.preparer(frameworks=FRAMEWORKS)).warnings
        == ()
    )


def test_a_source_archive_in_s3_is_unpacked_for_the_container(bench):
    bench.objects.put("bucket", "sourcedir.tar.gz", archive(inference_py=b"x = 1"))
    environment = {
        "SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/sourcedir.tar.gz",
        "SAGEMAKER_PROGRAM": "inference.py",
    }

    prepared = bench.prepare(bench.variant(archive(model_txt=b"one"), environment=environment))

    assert (prepared.source_dir / "inference.py").read_bytes() == b"x = 1"
    assert prepared.model_dir != prepared.source_dir


GOOD = archive(model_txt=b"0123456789" * 1000)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"this is no archive at all", "E-TAR-GZIP"),
        (GOOD[:-40], "E-TAR-TRUNCATED"),
        (link_archive(), "E-TAR-UNSAFE"),
        (archive(zeros=bytes(300 * 1024 * 1024)), "E-TAR-BOMB"),
        (archive(), "E-TAR-EMPTY"),
    ],
    ids=["no gzip", "cut short", "leaves the folder", "bomb", "empty"],
)
def test_a_bad_archive_has_its_cause_and_leaves_nothing(bench, body, cause):
    failure = bench.cause(bench.variant(body))

    assert failure.cause == cause
    assert failure.message
    assert list((bench.settings.work_dir / "models").iterdir()) == []


def test_a_missing_object_is_model_data_that_could_not_be_found(bench):
    variant = bench.variant(GOOD)
    bench.objects.delete("bucket", "model.tar.gz")

    failure = bench.cause(variant)

    assert (failure.cause, failure.message) == (
        "E-MODEL-DATA",
        "Could not find model data at s3://bucket/model.tar.gz",
    )


def test_a_replaced_object_breaks_the_pin(bench):
    variant = bench.variant(GOOD)
    bench.objects.put("bucket", "model.tar.gz", archive(model_txt=b"evil"))

    assert bench.cause(variant).cause == "E-INTEGRITY"


def test_a_replaced_file_below_a_prefix_breaks_the_pin(bench):
    bench.objects.put("bucket", "m/model", b"one")
    source = {"S3Uri": "s3://bucket/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": "xgboost:latest", "ModelDataSource": {"S3DataSource": source}}
    variant = Variant(
        name="v", model_name="m", container=container, data=pin_data(bench.objects, container)
    )
    bench.objects.put("bucket", "m/model", b"two")

    assert bench.cause(variant).cause == "E-INTEGRITY"


def test_an_unknown_image_is_named(bench):
    failure = bench.cause(bench.variant(image="mine:latest"))

    assert failure.cause == "E-IMAGE"
    assert "'mine:latest'" in failure.message


def test_no_place_on_disk_is_said(bench):
    bench.settings.work_dir.mkdir(exist_ok=True)
    (bench.settings.work_dir / "models").write_text("a file in the way")

    assert bench.cause(bench.variant(GOOD)).cause == "E-DISK"


def test_requirements_that_do_not_install_name_their_line(bench):
    body = archive(code__requirements_txt=b"--no-index\nno-such-package-anywhere==9\n")

    failure = bench.cause(bench.variant(body))

    assert failure.cause == "E-REQ-INSTALL"
    assert failure.message.startswith(
        "code/requirements.txt line 2 (no-such-package-anywhere==9): "
    )


def test_requirements_that_take_too_long_are_given_up(bench):
    body = archive(code__requirements_txt=b"--no-index\nno-such-package-anywhere==9\n")

    failure = bench.cause(bench.variant(body), bench.preparer(requirements_limit_s=0.01))

    assert failure.cause == "E-REQ-TIMEOUT"


def test_a_framework_that_cannot_be_fetched_says_what_to_run(bench):
    nowhere = ("--index-url", "http://127.0.0.1:9/simple")
    tiny = Framework(distributions=("tinyframework",), also=(), install=("tinyframework>=1,<2",))

    failure = bench.cause(
        bench.variant(image="pytorch-inference:2.0.0-cpu-py310"),
        bench.preparer(frameworks={"pytorch": tiny}, pip_options=nowhere),
    )

    assert failure.cause == "E-ENV-OFFLINE"
    assert "pip install 'tinyframework>=1,<2'" in failure.fix


@pytest.mark.parametrize(
    ("files", "wrapper"),
    [
        ({"export__xgboost-model": b"x"}, "export"),
        ({"export__code__inference_py": b"x", "export__model": b"x"}, "export"),
        ({"code__inference_py": b"x", "weights__model": b"x"}, None),
        ({"code__inference_py": b"x"}, None),
        ({"xgboost-model": b"x"}, None),
        ({"one__model": b"x", "two__model": b"x"}, None),
    ],
)
def test_an_archive_with_everything_in_one_folder_is_told_apart(bench, files, wrapper):
    variant = bench.variant(archive(**files))
    if wrapper is None:
        assert bench.prepare(variant).model_dir
        return

    failure = bench.cause(variant)

    assert failure.cause == "E-TAR-LAYOUT"
    assert f"'{wrapper}/'" in failure.message


def test_a_script_from_elsewhere_may_find_its_model_in_a_folder(bench):
    bench.objects.put("bucket", "sourcedir.tar.gz", archive(inference_py=b"x = 1"))
    environment = {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/sourcedir.tar.gz"}

    assert bench.prepare(
        bench.variant(archive(weights__model=b"x"), environment=environment)
    ).model_dir
