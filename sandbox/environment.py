"""The process's environment while the sandbox runs: MiniStack reads its settings from there when it is imported."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The sandbox's Scheduler reads expressions as the product does, which lies beside the sandbox.
sys.path.append(str(Path(__file__).parents[1] / "src"))
ACCOUNT = "111122223333"
REGION = "eu-central-1"
ROOT_KEY = ROOT_SECRET = "test"  # MiniStack's name for the account's root


def credentials(endpoint: str) -> dict[str, str]:
    """The variables that make any AWS tool talk to the sandbox as the account's root."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def entered(home: Path, port: int) -> Iterator[None]:
    """Set what MiniStack and moto need, without the caller's AWS settings; restore all and clean up at the end."""
    before, files = dict(os.environ), home / f"port-{port}"
    for folder in ("tmp", "state", "s3"):
        (files / folder).mkdir(parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(credentials(f"http://127.0.0.1:{port}"))
    os.environ.update(_settings(files, port))
    tempfile.tempdir = None
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        tempfile.tempdir = None
        # A function that an event has started late may still write here, and the folder is a temporary one.
        shutil.rmtree(files, ignore_errors=True)


def _settings(files: Path, port: int) -> dict[str, str]:
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "LOG_LEVEL": "ERROR",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
        "LAMBDA_EXECUTOR": "local",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",  # never look at, or clean up in, a developer's Docker
        "TMPDIR": str(files / "tmp"),
        "STATE_DIR": str(files / "state"),
        "S3_DATA_DIR": str(files / "s3"),
    }
