"""AWS's own managed policies, as far as courses and SDKs attach them; their documents are shortened to the actions.

Source: "AWS managed policy reference guide".
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json

from farero.base.arns import managed_policy_arn
from farero.records.identity import Entity

#: Moment that all of them carry: when IAM brought managed policies out.
CREATED_AT = dt.datetime(2015, 2, 6, 18, 40, tzinfo=dt.UTC)
_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")

#: Path and name → what it allows, on every resource.
ACTIONS: dict[str, tuple[str, ...]] = {
    "/AdministratorAccess": ("*",),
    "/PowerUserAccess": ("*",),
    "/ReadOnlyAccess": ("*:Get*", "*:List*", "*:Describe*"),
    "/IAMFullAccess": ("iam:*",),
    "/IAMReadOnlyAccess": ("iam:Get*", "iam:List*", "iam:Simulate*"),
    "/AmazonS3FullAccess": ("s3:*", "s3-object-lambda:*"),
    "/AmazonS3ReadOnlyAccess": ("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*"),
    "/AmazonSageMakerFullAccess": (
        "sagemaker:*", "s3:*", "logs:*", "cloudwatch:*", "ecr:*", "iam:GetRole", "iam:PassRole",
        "application-autoscaling:*",
    ),
    "/AmazonSageMakerReadOnly": ("sagemaker:Describe*", "sagemaker:List*", "sagemaker:Get*"),
    "/AmazonSageMakerModelRegistryFullAccess": ("sagemaker:*ModelPackage*", "s3:GetObject", "s3:ListBucket"),
    "/AmazonSageMakerPipelinesIntegrations": ("sagemaker:*", "lambda:InvokeFunction", "sqs:SendMessage"),
    "/CloudWatchFullAccess": ("cloudwatch:*", "logs:*", "sns:*", "autoscaling:Describe*"),
    "/CloudWatchFullAccessV2": ("cloudwatch:*", "logs:*", "sns:*", "application-autoscaling:DescribeScalingPolicies"),
    "/CloudWatchReadOnlyAccess": ("cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "logs:Get*"),
    "/CloudWatchLogsFullAccess": ("logs:*", "cloudwatch:GenerateQuery"),
    "/CloudWatchLogsReadOnlyAccess": ("logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents"),
    "/CloudWatchEventsFullAccess": ("events:*", "scheduler:*"),
    "/CloudWatchAgentServerPolicy": ("cloudwatch:PutMetricData", *_LOGS),
    "/AmazonEventBridgeFullAccess": ("events:*", "scheduler:*"),
    "/AmazonSNSFullAccess": ("sns:*",),
    "/AmazonSNSReadOnlyAccess": ("sns:Get*", "sns:List*"),
    "/AmazonSQSFullAccess": ("sqs:*",),
    "/AWSLambda_FullAccess": ("lambda:*", "logs:*", "iam:GetRole", "iam:PassRole"),
    "/AWSLambda_ReadOnlyAccess": ("lambda:Get*", "lambda:List*"),
    "/AmazonAPIGatewayAdministrator": ("apigateway:*",),
    "/AmazonAPIGatewayInvokeFullAccess": ("execute-api:Invoke", "execute-api:ManageConnections"),
    "/AmazonEC2ContainerRegistryFullAccess": ("ecr:*",),
    "/AmazonEC2ContainerRegistryReadOnly": ("ecr:Get*", "ecr:BatchGetImage", "ecr:Describe*", "ecr:List*"),
    "/AmazonEC2FullAccess": ("ec2:*", "elasticloadbalancing:*", "cloudwatch:*", "autoscaling:*"),
    "/AmazonECS_FullAccess": ("ecs:*", "ecr:*", "application-autoscaling:*", *_LOGS),
    "/AmazonDynamoDBFullAccess": ("dynamodb:*",),
    "/AWSStepFunctionsFullAccess": ("states:*",),
    "/AmazonAthenaFullAccess": ("athena:*", "glue:*", "s3:*"),
    "/SecretsManagerReadWrite": ("secretsmanager:*",),
    "/service-role/AWSLambdaBasicExecutionRole": _LOGS,
    "/service-role/AWSLambdaSQSQueueExecutionRole": ("sqs:ReceiveMessage", "sqs:DeleteMessage", *_LOGS),
    "/service-role/AmazonECSTaskExecutionRolePolicy": ("ecr:GetAuthorizationToken", "ecr:BatchGetImage", *_LOGS),
    "/service-role/AmazonSageMakerServiceCatalogProductsUseRole": ("sagemaker:*", "s3:*", *_LOGS),
    "/service-role/AmazonAPIGatewayPushToCloudWatchLogs": _LOGS,
    "/aws-service-role/AWSApplicationAutoscalingSageMakerEndpointPolicy": (
        "sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities", "cloudwatch:PutMetricAlarm",
    ),
}  # fmt: skip


def find_managed(arn: str) -> Entity | None:
    """Return AWS's policy of that ARN, or None."""
    prefix = managed_policy_arn("")
    key = arn.removeprefix(prefix)
    return _entity(f"/{key}") if arn.startswith(prefix) and f"/{key}" in ACTIONS else None


def list_managed() -> list[Entity]:
    """Return all that are known here, by ARN."""
    return sorted((_entity(key) for key in ACTIONS), key=lambda policy: policy.arn)


def _entity(key: str) -> Entity:
    path, _, name = key.rpartition("/")
    statement = {"Effect": "Allow", "Action": list(ACTIONS[key]), "Resource": "*"}
    digest = hashlib.sha256(key.encode()).hexdigest().upper()
    arn = managed_policy_arn(key[1:])
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return Entity(
        kind="policy",
        name=arn,
        arn=arn,
        id=f"ANPAI{digest[:16]}",
        path=f"{path}/",
        created_at=CREATED_AT,
        document={
            "PolicyName": name,
            "DefaultVersionId": "v1",
            "Versions": [{"VersionId": "v1", "Document": document, "CreateDate": 1423248000.0}],
        },
    )
