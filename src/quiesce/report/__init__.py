"""The texts for people: the mails."""
