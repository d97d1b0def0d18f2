"""Join captured records with the labels that came later: the container of sagemaker-model-monitor-groundtruth-merger.

`python -m farero_monitor.merge`. It is told by environment variables, three of them as AWS's own merge jobs have them:

    dataset_source        folder of captures: …/<endpoint>/<variant>/yyyy/mm/dd/HH/*.jsonl (plain or gzip)
    ground_truth_source   folder of labels: …/yyyy/mm/dd/HH/*.jsonl; the hour is when a label was collected
    output_path           folder for the merged files, under the same paths below it as the captures

and, of Farero's own, all optional, times ISO 8601 in UTC:

    dataset_format                        `{"csv": {"header": false}}` or `{"json": {"lines": true}}`: the data are
                                          outputs of batch transform jobs with inference ids (`quality/outputs.py`)
    start_time, end_time                  only records captured in [start, end)
    ground_truth_start, ground_truth_end  only labels from hour folders in [start, end)

AWS lays data out by LocalPath: labels in /opt/ml/processing/groundtruth/yyyy/mm/dd/HH, captures in
/opt/ml/processing/input_data/<endpoint>/<variant>/yyyy/mm/dd/HH; the output `result` goes to
`<monitoring output>/merge`, and a job `model-quality-monitoring-…` then reads
`<monitoring output>/merge/<endpoint>/<variant>/yyyy/mm/dd/HH` with dataset_format
`{"sagemakerMergeJson": {"captureIndexNames": ["endpointOutput"]}}`. Nothing else is written to `output_path`, so all
of it may be uploaded.

A record is joined by its `inferenceId`, or where it has none by its `eventId`, with `eventMetadata.eventId` of a label.
Of several labels for one id the last wins, in order of hour folder, file and line. Records without a label are left
out: a later run over the same hours, when more labels are there, writes the same files anew and completes them.

Exit code 0 and `output/message` below SAGEMAKER_BASE_DIR (/opt/ml) with the counts, for instance `Completed: 950 of
1,000 records have a label …`; 255 and the reason where nothing can be merged. Captures are read as a stream and
labels lie in a temporary file; an index of 32 bytes a label is what is in memory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from farero_monitor.environment import SettingError, dataset_format
from farero_monitor.quality.merging import Batch, MergeError, merge
from farero_monitor.readers.files import NoDataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.quality.merging import Merged


def main() -> int:
    """Do what the environment says; 0 if it could be done."""
    environ = os.environ
    try:
        made = run(environ)
        message, code = made.message, 0
        for place in made.unread.places:
            print("could not be read:", ", ".join(place[:2]), "-", place[2])
    except (MergeError, NoDataError, SettingError) as error:
        message, code = str(error), 255
    except OSError as error:
        message, code = f"{error.filename or ''}: {error.strerror or error}", 255
    print(message, file=sys.stderr if code else sys.stdout)
    target = Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "output" / "message"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(message[:1024], encoding="utf-8")
    return code


def run(environ: Mapping[str, str]) -> Merged:
    """Merge as the environment says; raises MergeError, SettingError, NoDataError, OSError."""
    for name in ("dataset_source", "ground_truth_source", "output_path"):
        if not environ.get(name):
            raise MergeError(f"The environment variable {name} is missing.")
    batch = None
    if environ.get("dataset_format"):
        batch = Batch(*dataset_format(environ, ("csv", "json")))
    return merge(
        Path(environ["dataset_source"]), Path(environ["ground_truth_source"]),
        Path(environ["output_path"]),
        window=(environ.get("start_time", ""), environ.get("end_time", "")),
        labelled=(environ.get("ground_truth_start", ""), environ.get("ground_truth_end", "")),
        batch=batch,
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
