"""Headers that a presigned URL carries as parameters do what headers do."""

import pytest
from botocore.awsrequest import AWSRequest

from farero.identity.canonical import Message, hoisted_headers


def test_headers_in_the_query_are_found_once():
    query = "x-amz-meta-colour=blue&X-Amz-Signature=s&X-Amz-Acl=private&content-type=text%2Fcsv&prefix=a"
    message = Message("PUT", "/b/k", query, [("x-amz-acl", "private")], None)

    assert hoisted_headers(message) == [("x-amz-meta-colour", "blue"), ("content-type", "text/csv")]


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_upload_keeps_its_metadata(cloud, version):
    s3 = cloud.client("s3", signature_version=version)
    where = {"Bucket": cloud.bucket, "Key": "by-url"}
    wanted = {"Metadata": {"colour": "blue"}, "ContentType": "text/csv"}
    url = s3.generate_presigned_url("put_object", Params=where | wanted)
    # Version 4 signs these headers, so the client must send them; Version 2 has them in the URL.
    headers = {"x-amz-meta-colour": "blue", "content-type": "text/csv"} if version == "s3v4" else {}

    answer = cloud.send(AWSRequest("PUT", url, headers=headers, data=b"1,2").prepare())

    assert answer.status_code == 200, answer.content
    head = s3.head_object(**where)
    assert (head["Metadata"], head["ContentType"]) == ({"colour": "blue"}, "text/csv")
