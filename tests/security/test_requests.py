"""Nobody without a key gets past the door: every operation of every room, and our own pages (R3, R16)."""

import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from sqlalchemy import select

from farero.app.catalogue import supported_operations
from farero.aws.wire import models
from farero.gateway import pages
from farero.store.tables.base import metadata

UNKNOWN = {"key": "AKIAAAAAAAAAAAAAAAAA", "secret": "x" * 40}
WRONG = {"secret": "x" * 40}
CALLERS = [
    pytest.param({"signature_version": UNSIGNED}, id="unsigned"),
    pytest.param(UNKNOWN, id="unknown-key"),
    pytest.param(WRONG, id="wrong-secret"),
]
SCALARS = {"integer": 1, "long": 1, "float": 1.0, "double": 1.0, "boolean": True, "timestamp": 1, "blob": b"x"}  # fmt: skip
#: What says "not you", as opposed to "not so": anything else means that a request was read before it was refused.
REFUSALS = {
    "AccessDenied", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException",
    "SignatureDoesNotMatch", "InvalidSignatureException", "403",
}  # fmt: skip
#: How many operations each room has at the least, so that a change which hides some of them is seen here.
REACH = {
    "s3": 60,
    "sagemaker": 20,
    "sagemaker-runtime": 1,
    "logs": 15,
    "iam": 70,
    "sts": 4,
    "sns": 19,
    "sqs": 18,
}
#: Operations that AWS answers without a signature. None is there yet; whoever adds one lists it here.
OPEN = set()
#: What may be done without a signature by following a link, a GET: what SNS's messages have in them.
OPEN_LINKS = {("sns", "ConfirmSubscription"), ("sns", "Unsubscribe")}


def some_value(shape, depth=0):
    """A value of a shape: required members only."""
    match shape.type_name:
        case "structure":
            wanted = shape.required_members
            if shape.metadata.get("union"):
                wanted = list(shape.members)[:1]
            return {n: some_value(shape.members[n], depth + 1) for n in wanted}
        case "list":
            return [some_value(shape.member, depth + 1)]
        case "map":
            return {"k": some_value(shape.value, depth + 1)}
        case "string":
            return shape.enum[0] if shape.enum else "sagemaker-us-east-1-123456789012"
        case kind:
            return SCALARS[kind]


def operations():
    """Every operation as (service, method name of the client, operation model)."""
    for service, names in sorted(supported_operations().items()):
        for name in sorted(names):
            if (
                name != "post_object"
            ):  # no operation of any client: see test_a_form_needs_its_signature
                yield service, name


def everything(cloud):
    """All rows of both databases and all files that are objects."""
    rows = {}
    for store in {cloud.app.store, cloud.app.telemetry}:
        with store.read() as db:
            for table in metadata.sorted_tables:
                rows[str(store.engine.url), table.name] = sorted(
                    map(repr, db.execute(select(table)).all())
                )
    files = sorted(str(p) for p in cloud.settings.objects_dir.rglob("*") if p.is_file())
    return rows, files


@pytest.mark.parametrize("caller", CALLERS)
def test_no_operation_answers_a_stranger(cloud, caller):
    before = everything(cloud)
    clients = {
        s: cloud.client(s, parameter_validation=False, inject_host_prefix=False, **caller)
        for s in supported_operations()
    }
    let_in, codes = [], set()

    for service, name in operations():
        client = clients[service]
        shape = models.operation_model(service, client.meta.method_to_api_mapping[name]).input_shape
        try:
            getattr(client, name)(**some_value(shape) if shape else {})
            let_in.append((service, name, 200))
        except ClientError as refused:
            codes.add(refused.response["Error"]["Code"])
            status = refused.response["ResponseMetadata"]["HTTPStatusCode"]
            if status not in (400, 401, 403):
                let_in.append((service, name, status))

    assert {(s, n) for s, n, _ in let_in} == OPEN, let_in
    assert codes <= REFUSALS
    assert everything(cloud) == before


def test_no_link_does_anything_for_a_stranger_but_those_in_notifications(cloud):
    before = everything(cloud)
    answered = set()

    for service in ("iam", "sts", "sns", "sqs", "cloudwatch"):
        version = models.SERVICES[service].version
        for name in models.service_model(service).operation_names:
            url = f"http://localhost:4747/?Action={name}&Version={version}"
            if cloud.send(AWSRequest("GET", url).prepare()).status_code not in (401, 403):
                answered.add((service, name))

    assert answered == OPEN_LINKS
    assert everything(cloud) == before


def test_a_link_of_sns_is_no_way_past_a_bad_signature(cloud):
    url = (
        "http://localhost:4747/?Action=Unsubscribe&SubscriptionArn=a:b:c:d:e:f:g&Version=2010-03-31"
    )
    request = signed(cloud, "GET", url, **UNKNOWN, service="sns")

    assert cloud.send(request).status_code == 403


def test_the_inventory_knows_every_room():
    per_room = {service: len(names) for service, names in supported_operations().items()}

    assert set(per_room) >= set(REACH)
    assert all(per_room[service] >= least for service, least in REACH.items()), per_room


def page_names(cloud):
    """Every page but health, and one that does not exist: a stranger cannot tell them apart."""
    found = pages.pages(cloud.app, cloud.gateway.spool)
    return [*found, ("POST", "reset"), ("GET", "nothing"), ("POST", "health"), ("GET", "")]


def signed(cloud, method, url, *, key, secret, service="farero"):
    """A prepared request with a signature of ours."""
    request = AWSRequest(method=method, url=url, data=b"")
    SigV4Auth(Credentials(key, secret), service, cloud.settings.region).add_auth(request)
    return request.prepare()


def test_our_own_pages_are_for_the_owner(cloud):
    owner = cloud.owner["access_key_id"]
    seen = set()
    for method, name in page_names(cloud):
        url = f"http://localhost:4747/_farero/{name}"
        for request in (
            AWSRequest(method=method, url=url).prepare(),
            signed(cloud, method, url, **UNKNOWN),
            signed(cloud, method, url, key=owner, secret="x" * 40),
            signed(cloud, method, url, key=owner,
                   secret=cloud.owner["secret_access_key"], service="s3"),
        ):  # fmt: skip
            seen.add(cloud.send(request).status_code)

    assert seen <= {400, 401, 403}, seen


def test_health_tells_nothing_but_that_it_answers(cloud):
    answer = cloud.send(AWSRequest("GET", "http://localhost:4747/_farero/health").prepare())

    assert (answer.status_code, answer.content) == (200, b'{"status":"ok"}\n')


def test_a_user_without_rights_of_the_owner_does_not_see_our_pages(cloud):
    iam = cloud.client("iam")
    role = iam.get_role(RoleName="AmazonSageMaker-ExecutionRole-farero")["Role"]["Arn"]
    made = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    request = AWSRequest(method="GET", url="http://localhost:4747/_farero/status", data=b"")
    credentials = Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    SigV4Auth(credentials, "farero", cloud.settings.region).add_auth(request)

    answer = cloud.send(request.prepare())

    assert (answer.status_code, b"Only the owner" in answer.content) == (403, True)


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nstolen.txt\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello\r\n--b--\r\n'
)


def test_a_form_needs_its_signature(cloud):
    before = everything(cloud)
    request = AWSRequest(
        "POST", f"http://localhost:4747/{cloud.bucket}", data=FORM,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    ).prepare()  # fmt: skip

    answer = cloud.send(request)

    assert answer.status_code in (400, 403)
    assert everything(cloud) == before


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost", True),
        ("localhost:4747", True),
        ("LOCALHOST:4747", True),
        ("127.0.0.1:4747", True),
        ("[::1]:4747", True),
        ("[::1]", True),
        ("bucket.s3.localhost:4747", True),
        ("evil.example", False),
        ("evil.example:4747", False),
        ("localhost.evil.example", False),
        ("localhost.evil.example:4747", False),
        ("127.0.0.1.evil.example", False),
        ("evillocalhost", False),
        ("evil.example#.localhost", False),
        ("evil.example/.localhost", False),
        ("evil.example@localhost.evil.example", False),
        ("[::1].evil.example", False),
        ("169.254.169.254", False),
        ("0.0.0.0:4747", False),
        ("", False),
        (":4747", False),
    ],
)
def test_only_our_own_host_names_are_served(cloud, host, is_ours):
    request = AWSRequest(
        "GET", "http://localhost:4747/_farero/health", headers={"Host": host}
    ).prepare()

    assert cloud.send(request).status_code == (200 if is_ours else 421)
