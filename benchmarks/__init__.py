"""Evaluation, speed and reports: the only code that knows generators and metrics both."""
