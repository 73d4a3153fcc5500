"""Arrival delays of the flights that left New York City in 2013: an example project for Samebits.

data (read, join, split) -> features (numbers a model can take) -> baselines and net/module (models)
-> report (metrics, picture) -> experiment (one MLflow run) -> train (the command line).
"""
