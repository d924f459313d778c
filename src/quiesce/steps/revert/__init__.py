"""The steps of the revert machine: look, start, build, complete, await, check, finish and discard."""
