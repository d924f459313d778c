"""A local AWS with simulated Windows servers, to deploy a real template on and to test it."""

from .gateway import Sandbox

__all__ = ["Sandbox"]
