# ---- The task that starts this --------------------------------------------------------------------------------------

# Its output and its exit code are nobody's.
Invoke-Task (Read-Session)
