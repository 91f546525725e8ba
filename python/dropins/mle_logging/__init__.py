"""Experiment logs with the interface of mle-logging, in one SQLite file."""
