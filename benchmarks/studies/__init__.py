"""Studies of one question each: the score itself, the parts of a loss, larger volumes, intervals, block sizes."""
