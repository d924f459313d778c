"""Rights by experiment: what the code of each function calls, and what its role allows."""
