"""Does what the event says."""

import importlib
import os
import threading

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from probed.errors import ServerBusy


def handler(event, context):
    if event.get("raise"):
        raise ServerBusy(event["raise"])
    if event.get("sleep_s"):
        # The sandbox makes pauses shorter, and this stands for work.
        threading.Event().wait(event["sleep_s"])
    if event.get("crash"):
        os._exit(137)  # as the kernel ends a process that has used up its memory
    if event.get("variables"):
        return {"variables": {name: os.environ[name] for name in event["variables"] if name in os.environ}}
    if event.get("import"):
        return {"imported": _can_import(event["import"])}
    if event.get("call"):
        return _call(*event["call"])
    return {"request_id": context.aws_request_id, "environment": sorted(os.environ)}


def _can_import(name):
    try:
        return bool(importlib.import_module(name))
    except ImportError:
        return False


def _call(service, method, parameters):
    client = boto3.client(service, config=Config(retries={"total_max_attempts": 1}))
    try:
        answer = getattr(client, method)(**parameters)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    return {"keys": sorted(answer)}
