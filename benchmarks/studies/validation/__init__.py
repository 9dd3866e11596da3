"""The score itself: known defects are planted, and the suite is asked to find them."""
