"""What a person should know before they aim Model Monitor at AWS itself."""

from __future__ import annotations

from urllib.parse import urlsplit

from farero.cli.output import err
from farero.cli.session import client, is_aws

#: The note that AWS put onto the pages of Model Monitor's guide.
NOTICE = "warning: AWS has closed Model Monitor to new accounts; who uses it already may go on, without new features."


def warn_of_aws(hint: str) -> None:
    """Tell once, on stderr, that AWS has closed the service; nothing when commands go to Farero.

    hint: what this command does all the same.
    """
    if is_aws() and is_amazon(client("sagemaker").meta.endpoint_url):
        err.print(f"{NOTICE}\n         {hint}")


def is_amazon(url: str) -> bool:
    """Tell whether a URL is AWS's own; with --aws and AWS_ENDPOINT_URL it may be Farero's."""
    host = urlsplit(url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
