"""The policy machine's decisions: which servers a policy means now, and what its policy run came to."""
