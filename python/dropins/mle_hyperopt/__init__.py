"""Hyperparameter search with the interface of mle-hyperopt."""
