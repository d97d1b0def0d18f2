"""Model quality once labels are there: metrics with their uncertainty, in SageMaker's files and words."""
