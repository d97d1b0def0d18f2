"""The files of SageMaker Model Monitor: statistics, constraints, violations, metrics, in its schema and words."""
