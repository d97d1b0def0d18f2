"""Bias and attributions: what SageMaker Clarify's container does, `python -m farero_monitor.clarify`.

**A job by itself** (CreateProcessingJob, image `sagemaker-clarify-processing`) needs no environment. It reads
`analysis_config.json` from the input named `analysis_config` (/opt/ml/processing/input/config), data from the input
named `dataset` (/opt/ml/processing/input/data) and writes to the first output (/opt/ml/processing/output):
`analysis.json`, `report.html`, `explanations_shap/out.csv` and `explanations_shap/baseline.csv`.

**A monitoring run** (ModelBias, ModelExplainability) is told by environment variables:

| variable | meaning |
|---|---|
| `analysis_type` | `MODEL_BIAS` or `MODEL_EXPLAINABILITY`; with it, it is a monitoring run |
| `analysis_config` | file or folder of the configuration (ConfigUri); default /opt/ml/processing/input/config |
| `dataset_format` | `{"sagemakerCaptureJson":{…}}`, `{"sagemakerMergeJson":{…}}`, `{"csv":…}`, `{"json":…}`, … |
| `dataset_source` | captured data; for bias the records that the ground truth merger made of them |
| `output_path` | where `analysis.json`, `constraint_violations.json`, `report.html`, `drift_report.json` go |
| `baseline_constraints` | `analysis.json` of the baseline, or its folder; without it nothing is compared |
| `start_time`, `end_time` | the window, ISO 8601 in UTC |
| `metric_time`, `publish_cloudwatch_metrics` | as for data quality |
| `sagemaker_endpoint_name`, `sagemaker_monitoring_schedule_name` | dimensions of the metrics |
| `monitoring_input_type` | `ENDPOINT_INPUT` (default) or `BATCH_TRANSFORM_INPUT` |
| `inference_attribute`, `probability_attribute`, `probability_threshold_attribute` | EndpointInput's |
| `features_attribute` | EndpointInput's, for JSON |

Always: `SAGEMAKER_BASE_DIR` (default /opt/ml), `AWS_ENDPOINT_URL`, `AWS_REGION` and the credentials `AWS_…`, with which
models are asked; `shap_method` = `auto` (default), `kernel` or `tree`. The answer is a message in `output/message`,
exit code 0 or 255, and metrics in `output/metrics/cloudwatch/cloudwatch_metrics.jsonl`.
"""
