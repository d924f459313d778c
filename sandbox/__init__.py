"""A local AWS with simulated Windows servers, to deploy a real template on and to test it (``sandbox.gateway``)."""
