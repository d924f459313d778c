"""Words for people: the mails."""
