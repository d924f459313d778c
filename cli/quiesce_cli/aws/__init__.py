"""What the command line asks of AWS, as the person who typed it: one module a subject."""
