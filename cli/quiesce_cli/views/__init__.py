"""How answers look to a person: pure, from an answer to lines and tables."""
