"""The calls to AWS that policies need beyond those of one server's backup."""
