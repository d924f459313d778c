"""The process's environment while the sandbox lives: MiniStack reads its settings from there when it is imported."""

import os
import tempfile
from pathlib import Path

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


def enter(home: Path, port: int) -> dict[str, str]:
    """Set what MiniStack and moto need, keep the caller's AWS settings out, and return the environment as it was."""
    before = dict(os.environ)
    for folder in ("tmp", "state", "s3"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(credentials(f"http://127.0.0.1:{port}"))
    os.environ.update(
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        MINISTACK_REGION=REGION,
        MOTO_EC2_LOAD_DEFAULT_AMIS="false",
        AUTH="true",
        LOG_LEVEL="ERROR",
        LAMBDA_EXECUTOR="local",
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        DOCKER_HOST="unix:///nonexistent/docker.sock",  # never look at, or clean up in, a developer's Docker
        TMPDIR=str(home / "tmp"),
        STATE_DIR=str(home / "state"),
        S3_DATA_DIR=str(home / "s3"),
    )
    tempfile.tempdir = None
    return before


def leave(before: dict[str, str]) -> None:
    """Put the environment back as it was."""
    os.environ.clear()
    os.environ.update(before)
    tempfile.tempdir = None
