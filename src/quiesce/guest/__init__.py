"""The server's answers and how long to wait for them, whatever carries them."""
