"""Join captured records with the labels that came later: the container of sagemaker-model-monitor-groundtruth-merger.

`python -m farero_monitor.merge`. It is told by environment variables, three of them as AWS's own merge jobs have them:

    dataset_source        folder of captures: …/<endpoint>/<variant>/yyyy/mm/dd/HH/*.jsonl (plain or gzip)
    ground_truth_source   folder of labels: …/yyyy/mm/dd/HH/*.jsonl; the hour is when a label was collected
    output_path           folder for the merged files, under the same paths below it as the captures

and, of Farero's own, all optional, ISO 8601 in UTC:

    start_time, end_time                  only records captured in [start, end)
    ground_truth_start, ground_truth_end  only labels from hour folders in [start, end)

AWS lays data out by LocalPath: labels in /opt/ml/processing/groundtruth/yyyy/mm/dd/HH, captures in
/opt/ml/processing/input_data/<endpoint>/<variant>/yyyy/mm/dd/HH; the output `result` goes to `<monitoring output>/merge`,
and a job `model-quality-monitoring-…` then reads `<monitoring output>/merge/<endpoint>/<variant>/yyyy/mm/dd/HH` with
dataset_format `{"sagemakerMergeJson": {"captureIndexNames": ["endpointOutput"]}}`. Nothing else is written to
`output_path`, so all of it may be uploaded.

A record is joined by its `inferenceId`, or where it has none by its `eventId`, with `eventMetadata.eventId` of a label.
Of several labels for one id the last wins, in order of hour folder, file and line. Records without a label are left
out: a later run over the same hours, when more labels are there, writes the same files anew and completes them.

Exit code 0 and `output/message` below SAGEMAKER_BASE_DIR (/opt/ml) with the counts, for instance `Completed: 950 of
1,000 records have a label …`; 255 and the reason where nothing can be merged. Labels lie in a private database on disk,
of which a few dozen MB are in memory, so that neither captures nor labels have to fit.
"""
