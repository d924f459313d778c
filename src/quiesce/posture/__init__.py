"""How well the account's servers are protected: who is behind, who is left out, what nobody removes; pure."""
