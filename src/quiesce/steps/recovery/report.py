"""How an execution of a recovery ends: its account is kept in the bucket and in the table, and mailed once."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws import topic
from quiesce.aws.bucket import Bucket, account_key
from quiesce.aws.clients import ANY_REFUSAL
from quiesce.aws.recoveries import Recoveries
from quiesce.executions import Execution
from quiesce.recovery.account import Account, Ending
from quiesce.report.mail import mail_of_recovery
from quiesce.settings import Settings
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient


@dataclass(frozen=True)
class RecoveryEnd:
    """What is needed to end a recovery: clients, and the stack's own resources."""

    s3: "S3Client"
    sns: "SNSClient"
    recoveries: Recoveries
    settings: Settings

    def ending(self, recovery_id: str, execution: Execution, now: datetime, took: str = "") -> Ending:
        """Return which execution ends, how long its states took, and where its account will be."""
        key = account_key(recovery_id, execution.name)
        return Ending(recovery_id, execution, now, self.bucket.place(key), took)

    def has_account(self, recovery_id: str, execution_id: str) -> bool:
        """Return whether an execution has its account."""
        return any(kept.execution == execution_id for kept in self.recoveries.accounts(recovery_id))

    def try_to_end(self, account: Account, execution_name: str) -> Account:
        """End a recovery; an account that can't be kept or mailed is no failure: ``untold`` says why."""
        try:
            return self.end(account, execution_name)
        except ANY_REFUSAL as error:
            logger.exception("the account was not kept or not mailed")
            return account.model_copy(update={"untold": f"the account was not kept or not mailed: {error}"})

    def end(self, account: Account, execution_name: str) -> Account:
        """Keep an account and mail it, or return the one that is kept; a repetition after a crash loses nothing.

        A recovery that succeeded is mailed once, even if several of its executions reach the end.
        """
        for kept in self.recoveries.accounts(account.recovery_id):
            if kept.status == account.status and (kept.status == "Recovered" or kept.execution == account.execution):
                return kept
        key = account_key(account.recovery_id, execution_name)
        self.bucket.write_json(key, account.model_dump_json(indent=2))
        # Mail first, then keep the account: a crash in between sends two mails, never none.
        mail = mail_of_recovery(account)
        topic.publish(self.sns, self.settings.topic_arn, mail.subject, mail.text)
        self.recoveries.keep_account(account, execution_name)
        logger.info("recovery ended", status=account.status, reason=account.reason)
        return account

    @property
    def bucket(self) -> Bucket:
        """The stack's bucket."""
        # Recoveries make no links.
        return Bucket(self.s3, self.s3, self.settings.bucket_name)
