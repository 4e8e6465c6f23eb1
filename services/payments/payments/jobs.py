"""The jobs and the task queues of all contexts."""

from chassis.jobs import Job
from chassis.tasks.queue import Queues
from payments.autopay import jobs as autopay
from payments.collecting import jobs as collecting
from payments.methods import jobs as methods
from payments.receiving.jobs import bank_lines, payouts

JOBS = (
    Job("call-provider", 0.25, collecting.call_provider),
    Job("take-bank-lines", 1, bank_lines.take_lines),
    Job("poll-provider", 0.5, collecting.poll_provider, next_due=collecting.until_next_poll),
    Job("read-payouts", 15, payouts.read_payouts),
    Job("catch-up-events", 15, collecting.catch_up_events),
    Job("notice-overdue", 5, collecting.notice_overdue),
    Job("end-unconfirmed", 5, collecting.end_unconfirmed),
    Job("charge-autopay", 2, autopay.charge_autopay),
    Job("follow-autopay", 2, autopay.follow_autopay),
    Job("remove-used-up", 2, methods.remove_used_up),
)

QUEUES = Queues()
QUEUES.on("look-at-setups")(methods.look_at_setup)
QUEUES.on("detach-methods")(methods.detach_method)
QUEUES.on("call-refunds", at_once=32, lease_seconds=15)(collecting.call_refund)  # a call takes 10 s at most
