"""Summarize: once every run of a policy run has left its end in the table, count, keep the summary, and tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from quiesce.aws import topic
from quiesce.aws.history import ended_at
from quiesce.aws.policies.policy_run_files import PolicyRunFiles
from quiesce.aws.policies.policy_runs import PolicyRuns
from quiesce.clock import Clock
from quiesce.executions import Cause, cause_of, cause_of_ending, execution_of, input_of
from quiesce.policy_run.input import PolicyRunIdentity, cut_off, cut_off_run, identify
from quiesce.policy_run.state import Ended, Found, PolicyRunState, Summarize, Summary
from quiesce.policy_run.summing import Known, all_ends, summarize
from quiesce.report.policy_mail import mail_of_policy_run
from quiesce.settings import Settings
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

# Between two looks, and the longest that Sweep may need to end a run whose execution has ended: by its event's age.
LOOK_EVERY_S = 60
SWEPT_WITHIN = timedelta(hours=1, minutes=30)


@dataclass(frozen=True)
class _Asked:
    """Which policy run is to be summarized, what its input was, and why its execution ended, if it was cut off."""

    run: PolicyRunIdentity
    raw: Any
    started_at: datetime
    cause: Cause | None
    is_cut_off: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SummarizeStep:
    """What Summarize needs."""

    s3: "S3Client"
    sns: "SNSClient"
    dynamodb: "DynamoDBClient"
    stepfunctions: "SFNClient"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """Summarize a policy run, once all of its servers' runs have ended.

        The policy machine's input may also be the event that an execution of it ended without a summary.

        Returns:
            The ``Summarize``: done, or when to look again.
        """
        state = PolicyRunState.model_validate(document)
        asked = _asked(state)
        if asked is None:
            return _nothing("that execution had only another one to summarize")
        run, looks = asked.run, state.summarize.looks if state.summarize else 0
        begin("summarize", run_id=run.run_id, policy=run.policy)
        item = self._runs.item(run)
        if item.get("execution", run.execution) != run.execution:
            return _nothing("the policy run is another execution's")
        if "summary" in item:
            summary = Summary.model_validate_json(item["summary"])
            return _nothing("the policy run has its summary") if asked.is_cut_off else self._done(run, summary)
        ended = self._runs.ends(run)
        unreported = self._unreported(run, ended)
        # What was about to begin when the execution was cut off has not left a sign of it.
        if unreported is None or (asked.is_cut_off and not looks):
            return Summarize(done=False, wait_s=LOOK_EVERY_S, looks=looks + 1).model_dump(mode="json")
        found = Found.model_validate_json(item["found"]) if "found" in item else None
        items = self._files(run).read_items() if found and found.servers else []
        return self._done(run, self._keep(asked, Known(found, all_ends(items, ended, unreported), asked.cause)))

    def _unreported(self, run: PolicyRunIdentity, ended: Mapping[str, Ended]) -> dict[str, str] | None:
        """Return why runs that began left no end, by instance id; None while one of them may still leave it."""
        unreported = {}
        for instance_id, execution in self._runs.begun(run).items():
            if instance_id not in ended:
                stopped_at = ended_at(self.stepfunctions, execution)
                if stopped_at is None or self.clock.now() < stopped_at + SWEPT_WITHIN:
                    return None
                unreported[instance_id] = (
                    f"its execution {execution} has ended, and neither Report nor Sweep ended its run"
                )
        return unreported

    def _keep(self, asked: _Asked, known: Known) -> Summary:
        """Make the summary, tell of it, and keep it in the bucket and the table."""
        run, files = asked.run, self._files(asked.run)
        place, now = files.place("summary.json"), self.clock.now()
        summary = summarize(run, asked.raw, known, started_at=asked.started_at, now=now, place=place)
        # Mail first, then keep the summary: a crash in between sends two mails, never none.
        summary = summary.model_copy(update={"notes": [*summary.notes, *asked.notes]})
        if untold := self._mail(summary):
            summary = summary.model_copy(update={"notes": [*summary.notes, untold]})
        every = [end.model_dump(mode="json") for end in known.ends]
        files.write_summary({**summary.model_dump(mode="json", exclude={"worst"}), "targets": every})
        self._runs.end(run, summary)
        logger.info("policy run ended", status=summary.status, reason=summary.reason)
        return summary

    @property
    def _runs(self) -> PolicyRuns:
        return PolicyRuns(self.dynamodb, self.settings.table_name)

    def _files(self, run: PolicyRunIdentity) -> PolicyRunFiles:
        return PolicyRunFiles(self.s3, self.settings.bucket_name, run.policy, run.run_id)

    def _done(self, run: PolicyRunIdentity, summary: Summary) -> dict[str, Any]:
        if summary.status != "Skipped":
            self._runs.keep_last_status(run, summary.attention)
        done = Summarize(done=True, status=summary.status, reason=summary.reason, summary=summary)
        return done.model_dump(mode="json")

    def _mail(self, summary: Summary) -> str:
        """Send the mail about a policy run, if it needs one; return why it was not sent, as a note, else nothing."""
        mail = mail_of_policy_run(summary, self._runs.last_status(summary.policy))
        return topic.publish_or_note(self.sns, self.settings.topic_arn, mail.subject, mail.text) if mail else ""


def _nothing(reason: str) -> dict[str, Any]:
    return Summarize(done=True, reason=reason).model_dump(mode="json")


def _asked(state: PolicyRunState) -> _Asked | None:
    """Return which policy run to summarize, None if there is nothing to do."""
    detail = cut_off(state.input)
    if detail is None:
        cause = cause_of(state.failure) if state.failure else None
        run = identify(state.execution, state.input)
        started_at, notes = state.execution.started_at, _notes(state)
        return _Asked(run, state.input, started_at, cause, is_cut_off=False, notes=notes)
    cut = cut_off_run(detail)
    if cut is None:
        return None
    started_at = execution_of(detail).started_at
    return _Asked(cut, input_of(detail), started_at, cause_of_ending(detail), is_cut_off=True)


def _notes(state: PolicyRunState) -> tuple[str, ...]:
    """Return what is to be said of the retention of the policy run's servers: nothing if it was started."""
    if state.retention_failure is None:
        return ()
    cause = cause_of(state.retention_failure)
    words = f"retention of these servers was not started ({cause.error}: {cause.words}); the daily one looks after them"
    return (words,)
