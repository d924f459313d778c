"""The calls to AWS that the posture needs beyond those of policies and retention."""
