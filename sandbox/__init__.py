"""A local AWS with simulated Windows servers, to deploy a real template on and to test it."""

from sandbox.gateway import Sandbox

__all__ = ["Sandbox"]
