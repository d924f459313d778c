"""How well the account's servers are protected: which are overdue, in no policy, or left with points; pure."""
