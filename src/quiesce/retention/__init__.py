"""Which recovery points stay, and why: pure decisions that delete nothing."""
