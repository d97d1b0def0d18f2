"""The analyzer: statistics, constraints, drift and reports, files in and files out.

An empty room for now. It will import nothing of `farero`, so that it also works on captures downloaded from AWS.
"""
