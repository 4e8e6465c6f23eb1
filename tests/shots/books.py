"""The desk's money: payments, bank files, exceptions."""

from playwright.async_api import Page

from tests.kit.client import Client
from tests.shots.portal import NAME, Seen
from tests.shots.taking import each, go, shoot

HEAD = "date,amount,currency,account,reference,text,payer,payer_account"
ACCOUNT = "DE89370400440532013000"


async def receipts(page: Page, url: str, client: Client, customer: str) -> None:
    """Record a payment, look at it, give it back."""
    await go(page, f"{url}/desk/receipts/new?customer={customer}")
    await shoot(page, "desk-record")
    await page.get_by_label("Amount", exact=True).fill("2000")
    await page.get_by_label("Reference").fill("CHQ-1042")
    await page.wait_for_load_state("networkidle")
    await shoot(page, "desk-record-oldest")
    await page.get_by_role("radio", name="Chosen invoices").check()
    for row in (0, 2):
        await page.get_by_role("checkbox").nth(row).check()
    await page.get_by_role("button", name="Record $").click()
    await shoot(page, "desk-record-refused")
    made = await client.receive(customer, 900_000, reference="CHQ-77")
    await client.refund(made["id"], 5_000, reason="Goods returned")
    received = await client.receive(customer, 3_000)
    await each(page, url, {"desk-payments": "/desk/payments", "desk-payment": f"/desk/payments/{made['id']}"})
    await page.get_by_role("button", name="Refund").click()
    await page.get_by_role("dialog").get_by_role("radio", name="A part").check()
    await shoot(page, "desk-refund")
    await go(page, f"{url}/desk/payments/{received['id']}")
    await page.get_by_role("button", name="Void").click()
    await shoot(page, "desk-void-receipt")


async def bank(page: Page, url: str, client: Client, customer: str, seen: Seen) -> None:
    """A bank's file, its run, and what a person decides."""
    await each(page, url, {"desk-bank-empty": "/desk/bank"})
    number = (await client.get(f"/v1/invoices/{seen.invoice}"))["number"]
    lines = [
        HEAD,
        f"2026-03-02,100.00,USD,{ACCOUNT},{number},LESS WIRE FEE,{NAME[:30]},",
        f"2026-03-03,77.00,USD,{ACCOUNT},,unknown transfer 20261116-88214-03,Unknown GmbH,",
        f"2026-03-03,-12.00,USD,{ACCOUNT},,monthly fee,,",
    ]
    _, run = await client.upload("/v1/bank-statements", "\n".join([*lines, ""]).encode())
    await client.until(f"/v1/reconciliation/runs/{run['id']}", lambda found: found["status"] == "done")
    await each(
        page,
        url,
        {"desk-bank": "/desk/bank", "desk-run": f"/desk/bank/{run['id']}", "desk-exceptions": "/desk/exceptions"},
    )
    await go(page, f"{url}/desk/bank")
    wrong = {"name": "march.csv", "mimeType": "text/csv", "buffer": f"{HEAD}\n2026-03-02,one,USD,,,x,y,\n".encode()}
    await page.get_by_label("Choose a file").set_input_files(wrong)
    await page.get_by_role("alert").wait_for()
    await shoot(page, "desk-bank-refused")
    found = await client.get(f"/v1/reconciliation/runs/{run['id']}/lines?state=proposed")
    await go(page, f"{url}/desk/exceptions/{found['items'][0]['exception_id']}")
    await shoot(page, "desk-exception")
    for what, picture in (
        ("Choose invoices or credit", "post"),
        ("Split over customers", "split"),
        ("Match with", "match"),
    ):
        await page.get_by_role("button", name=what).click()
        await page.wait_for_load_state("networkidle")
        await shoot(page, f"desk-exception-{picture}")
