"""The looks at the posture: the regular one, and the weekly list."""
