"""One boto3 suite, two servers: Farero, and a real S3 server as judge of the suite itself."""

import asyncio
import itertools
import threading

import boto3
import pytest
from botocore.config import Config
from tests.conftest import load_script

from farero.aws.services.s3 import S3
from farero.base.clock import SystemClock
from farero.base.context import Context, Principal
from farero.objects.local import LocalObjects
from farero.store.engine import Store
from farero.store.migrations import upgrade

#: Where SeaweedFS 4.48 answers otherwise than AWS does, by test; AWS's behaviour is what the suite asks for.
DEVIATIONS = {
    "test_a_failed_condition_is_named": "does not name the condition",
    "test_put_if_match_on_nothing_is_not_found": "answers PreconditionFailed where AWS answers NoSuchKey",
    "test_body_and_etag_come_back": "guesses a content type where AWS says binary/octet-stream",
    "test_every_object_says_it_is_encrypted": "does not encrypt by default",
    "test_eleven_tags_are_too_many": "answers InvalidTag where AWS answers BadRequest",
    "test_object_attributes": "returns no checksum among the attributes",
    "test_a_new_bucket_is_listed_and_found": "does not say the bucket's region",
    "test_creating_ones_own_bucket_again_is_no_error_in_us_east_1": "answers 409, as AWS does elsewhere",
    "test_an_md5_that_is_none_is_refused": "answers BadDigest where AWS answers InvalidDigest",
    "test_a_copy_has_the_bytes_the_metadata_and_the_tags": "writes the copy's etag without quotes",
    "test_an_old_version_can_be_copied": "does not say which version was copied",
    "test_a_range_outside_the_source_is_refused": "answers InvalidRange where AWS answers InvalidArgument",
    "test_version_one_has_no_next_marker_without_a_delimiter": "sends it always",
    "test_part_numbers_have_limits": "answers InvalidPart where AWS answers InvalidArgument",
    "test_uploads_are_listed_in_pages": "lists uploads by id, not by key",
    "test_a_delete_marker_hides_and_its_removal_brings_back": "does not say that it met a delete marker",
    "test_a_delete_marker_itself_cannot_be_read": "answers NoSuchKey where AWS answers MethodNotAllowed",
    "test_suspended_writes_replace_the_null_version_only": "lists the null version last",
    "test_a_bucket_with_old_versions_is_not_empty": "deletes old versions with the bucket",
    "test_delete_objects_lays_markers_and_removes_versions": "does not name the marker it removed",
}

_numbers = itertools.count()
PRINCIPAL = Principal(
    access_key_id="AKIA", arn="arn:aws:iam::123456789012:root", user_id="123456789012"
)


@pytest.fixture(scope="session")
def judge_url():
    """A real S3 server, for the whole run."""
    with load_script("s3_judge").serve() as url:
        yield url


@pytest.fixture
def farero_s3(cloud):
    """A boto3 client of Farero alone, for what no judge can know."""
    return cloud.client("s3")


@pytest.fixture(params=["farero", pytest.param("judge", marks=pytest.mark.network)])
def s3(request):
    """A boto3 client of each server in turn."""
    if request.param == "farero":
        return request.getfixturevalue("farero_s3")
    name = request.node.originalname
    if name in DEVIATIONS:
        request.applymarker(pytest.mark.xfail(reason=DEVIATIONS[name], strict=True))
    script = load_script("s3_judge")
    return boto3.client(
        "s3",
        endpoint_url=request.getfixturevalue("judge_url"),
        region_name="us-east-1",
        aws_access_key_id=script.ACCESS_KEY,
        aws_secret_access_key=script.SECRET_KEY,
        config=Config(retries={"max_attempts": 0}),
    )


@pytest.fixture
def bucket(s3):
    """A fresh bucket on either server."""
    name = f"bucket-{next(_numbers)}-{threading.get_native_id()}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def objects(tmp_path):
    """Objects with one bucket."""
    store = Store(f"sqlite:///{tmp_path / 'state.db'}")
    upgrade(store)
    made = LocalObjects(store, tmp_path / "objects", SystemClock())
    made.ensure_bucket("things")
    yield made
    store.close()


@pytest.fixture
def call(objects):
    """Calls one operation of the room."""
    room = S3(objects, check_form=lambda _: None)
    context = Context(
        account="123456789012",
        region="us-east-1",
        request_id="id",
        now=SystemClock().now(),
        principal=PRINCIPAL,
    )

    def run(name, **req):
        return asyncio.run(
            room.find_operation(name)(context, {"Bucket": "things", "Key": "k", **req})
        )

    return run
