"""What the stack has written of the demo's runs for people, copied onto this machine to look at."""

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sandbox.demo.terminal import done
from sandbox.executions import until
from sandbox.gateway import Sandbox

OVERVIEW = "pages/overview.html"
# Pages, and the records and policies that they show.
FOLDERS = ("pages/", "policies/", "records/", "recoveries/")


def keep_pages(aws: Sandbox, bucket: str) -> Path:
    """Copy the stack's pages once all are written, and return the overview's.

    A page follows its record, and the overview the end of a policy run, by an event of S3: seconds later.
    """
    s3, folder = aws.client("s3"), aws.home / "outcome"

    def written() -> dict[str, datetime]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {each["Key"]: each["LastModified"] for page in pages for each in page.get("Contents", [])}

    keys = until(lambda: (found := written()) and all_there(found) and list(found))
    shutil.rmtree(folder, ignore_errors=True)
    for key in (key for key in keys if key.startswith(FOLDERS)):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(path))
    runs = sum(key.startswith("records/") and key.endswith(".html") for key in keys)
    done("pages", f"{folder}: the overview, and a page for each of {runs} runs")
    return folder / OVERVIEW


def all_there(written: Mapping[str, datetime]) -> bool:
    """Return whether each record has its page, and the overview is as new as the newest summary of a policy run."""
    records = {key: f"{key.removesuffix('.json')}.html" for key in written if key.startswith("records/")}
    summaries = {key: OVERVIEW for key in written if key.startswith("policy-runs/") and key.endswith("/summary.json")}
    needed = {key: page for key, page in {**records, **summaries}.items() if key.endswith(".json")}
    return bool(needed) and all(page in written and written[page] >= written[key] for key, page in needed.items())
