"""The commands' answers: from what AWS said to what ``--json`` prints and views show. Pure."""
