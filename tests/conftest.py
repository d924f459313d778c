"""What all tests share."""

pytest_plugins = ["sandbox.fixtures"]
