"""The command line: what people type on their own machines. None of it is in the functions' layer."""
