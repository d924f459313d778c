"""The server's words and how long to wait for them, whatever carries them."""
