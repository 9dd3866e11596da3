"""Which numbers still hold: status, comparison with a new run, estimate of what a run takes."""
