"""An instance that keeps nothing."""

import dataclasses

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from farero.app.gateway import GatewayApp


def post_reset(cloud):
    request = AWSRequest(method="POST", url="http://localhost:4747/_farero/reset", data=b"")
    credentials = Credentials(cloud.owner["access_key_id"], cloud.owner["secret_access_key"])
    SigV4Auth(credentials, "farero", "us-east-1").add_auth(request)
    return cloud.send(request.prepare())


@pytest.fixture
def ephemeral(cloud, supervisor):
    """The cloud, told to keep nothing."""
    _ = supervisor
    cloud.app.settings = dataclasses.replace(cloud.settings, ephemeral=True)
    cloud.gateway.close()
    cloud.gateway = GatewayApp(cloud.app)
    return cloud


def test_reset_forgets_everything_but_who_may_call(ephemeral):
    s3 = ephemeral.client("s3")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="k", Body=b"x")
    ephemeral.client("logs").create_log_group(logGroupName="g")

    status = post_reset(ephemeral).status_code

    assert status == 200
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [ephemeral.bucket]
    assert ephemeral.client("logs").describe_log_groups()["logGroups"] == []
    assert list((ephemeral.settings.objects_dir).rglob("*.obj")) == []


def test_a_lasting_instance_has_no_reset(cloud):
    assert post_reset(cloud).status_code == 404
