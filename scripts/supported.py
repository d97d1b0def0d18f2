"""Write docs/supported.md (operations, from the rooms) and docs/settings.md (from Settings); --check compares."""

from __future__ import annotations

import dataclasses
import re
import sys
from inspect import getsource
from pathlib import Path

import botocore.session
from botocore import xform_name

from farero.app.catalogue import supported_operations
from farero.base.config import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent
NOTES = {
    "iam": "Users, roles and policies are stored and returned; policies are not evaluated yet, and "
    "SimulatePrincipalPolicy answers `allowed`.",
    "sagemaker": "Training runs the built-in XGBoost and your own scripts (XGBoost, scikit-learn, PyTorch). "
    "[Updates](updates.md) go over at once, by canary, in steps or batches, and back by alarm.",
    "sagemaker-runtime": "[Serverless endpoints](serverless.md) sleep, wake and can be captured, which AWS cannot.",
}


def supported_page() -> str:
    """Return the page of operations: what is there, and what is not."""
    session = botocore.session.get_session()
    lines = [
        "# Supported operations",
        "",
        "Generated from the code by `make docs`. An operation that is not there answers HTTP 501 and names this",
        "page; it never answers a made-up success.",
        "",
    ]
    for service, names in sorted(supported_operations().items()):
        model = session.get_service_model(service)
        there = sorted(n for n in model.operation_names if xform_name(n) in names)
        missing = sorted(n for n in model.operation_names if xform_name(n) not in names)
        lines += [f"## {service}: {len(there)} of {len(model.operation_names)}", ""]
        if service in NOTES:
            lines += [NOTES[service], ""]
        lines += [", ".join(f"**{name}**" for name in there) + ".", ""]
        if missing:
            lines += [
                "<details><summary>not there yet</summary>",
                "",
                ", ".join(missing) + ".",
                "",
                "</details>",
                "",
            ]
    return "\n".join(lines)


def settings_page() -> str:
    """Return the page of settings: variable, default, meaning."""
    source = getsource(Settings)
    lines = [
        "# Settings",
        "",
        "Generated from the code by `make docs`. Each is an environment variable, read once at the start. Every",
        "default works on a laptop, offline, without a file.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for item in dataclasses.fields(Settings):
        comment = re.search(rf"((?:    #: [^\n]*\n)+)    {item.name}:", source)
        meaning = " ".join(re.findall(r"#: (.*)", comment.group(1))) if comment else ""
        default = "~/.farero" if item.name == "data_dir" else item.default
        lines.append(f"| `{PREFIX}{item.name.upper()}` | `{default}` | {meaning} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the pages, or with --check say which one is stale."""
    pages = {"docs/supported.md": supported_page(), "docs/settings.md": settings_page()}
    stale = [
        name for name, text in pages.items()
        if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != text
    ]  # fmt: skip
    if "--check" in sys.argv:
        if stale:
            print(f"stale: {', '.join(stale)}; run make docs")
        return bool(stale)
    for name in stale:
        (ROOT / name).write_text(pages[name], encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
