import { describe, expect, test } from "vitest";
import { Refused, undecided, Unreachable } from "../../api/problems";
import {
  allDisputed,
  begin,
  choose,
  inDoubt,
  invoicesOf,
  keyOf,
  next,
  startOf,
  stillShows,
  sumOf,
  wishOf,
  wrongAmount,
  type Happened,
  type Quote,
  type Review,
  type Todo,
} from "./rules";

const refused = (status: number) =>
  new Refused({ type: "urn:paidup:problem:any", status, title: "No", detail: "No.", request_id: "r" });

describe("what is ticked", () => {
  const payable = { a: 351625, b: 146000 };

  test("counts whole, or with its edited amount", () => {
    expect(sumOf({ a: null, b: 100 }, payable)).toBe(351725);
    expect(sumOf({}, payable)).toBe(0);
  });

  test("becomes the wish for a quote", () => {
    expect(wishOf({ a: null, b: 100 }, "USD", true)).toEqual({
      currency: "USD",
      use_credit: true,
      all: false,
      invoices: [
        { invoice_id: "a", amount_minor: null },
        { invoice_id: "b", amount_minor: 100 },
      ],
    });
  });
});

test("an edited amount is more than nothing and at most what is payable", () => {
  expect(wrongAmount(null, 500)).toBe("no_amount");
  expect(wrongAmount(0, 500)).toBe("nothing");
  expect(wrongAmount(501, 500)).toBe("too_much");
  expect(wrongAmount(500, 500)).toBeNull();
});

test("the same choice and answer have the same key in every tab", () => {
  expect(keyOf("q", true)).toBe(keyOf("q", true));
  expect(keyOf("q", null)).toBe(keyOf("q", true));
  expect(keyOf("q", true)).not.toBe(keyOf("q", false));
});

describe("a confirmation without an answer", () => {
  const mine = { wish: wishOf({ a: null }, "USD", false), once: "o", methodId: "m", quoteId: "q" };

  test("is in doubt until its outcome is known", () => {
    expect(inDoubt({ ...mine, sent: null })).toEqual({ once: "o", quoteId: "q", consent: null });
    expect(inDoubt({ ...mine, sent: false })).toEqual({ once: "o", quoteId: "q", consent: false });
    expect(inDoubt(mine)).toBeNull();
    expect(inDoubt(null)).toBeNull();
  });

  test("stays in doubt where only the door answers", () => {
    expect(undecided(refused(401))).toBe(true);
    expect(undecided(refused(429))).toBe(true);
    expect(undecided(refused(504))).toBe(true);
    expect(undecided(refused(409))).toBe(false);
    expect(undecided(new Unreachable())).toBe(true);
  });
});

test("a quote shows for its own method until its last moments", () => {
  const quote = { method_id: "m", expires_at: "2026-03-01T12:00:00Z" };
  const end = Date.parse(quote.expires_at);
  expect(stillShows(quote, "m", end - 60_000)).toBe(true);
  expect(stillShows(quote, "m", end - 4_000)).toBe(false);
  expect(stillShows(quote, "other", end - 60_000)).toBe(false);
});

describe("a new choice", () => {
  const wish = wishOf({ a: null }, "USD", false);

  test("is paid beside the one before", () => {
    expect(choose(wish, null).once).not.toBe(choose(wish, { wish, once: "o", quoteId: "q" }).once);
    expect(choose(wish, { wish, once: "o", quoteId: "q" }).once).not.toBe("o");
  });

  test("is paid instead of one whose outcome is unknown", () => {
    expect(choose(wish, { wish, once: "o", quoteId: "q", sent: null })).toEqual({ wish, once: "o" });
  });
});

describe("Review", () => {
  const mine = { wish: wishOf({ a: null }, "USD", false), once: "o" };
  const quote = (id: string, method: string, more: Partial<Quote> = {}): Quote =>
    ({ id, method_id: method, total_minor: 100, surcharge_minor: 0, payment_id: null, ...more }) as Quote;

  /** Where a review is after all of these, and what the last one asks to be done. */
  const after = (events: Happened[], from: Review = begin(mine)): [Review, Todo | null] =>
    events.reduce<[Review, Todo | null]>(([now], event) => [...next(now, event)], [from, null]);

  const read: Happened = {
    what: "methods",
    usable: [
      { id: "bank", is_default: false },
      { id: "card", is_default: true },
    ],
  };
  const quoted = (method: string, more: Partial<Quote> = {}): Happened => ({
    what: "quoted",
    method,
    quote: quote(`q-${method}`, method, more),
  });
  const press: Happened = { what: "pressed", offline: false };
  const answer = (accepted: boolean): Happened => ({ what: "answered", accepted, offline: false });
  const lostAnswer: Happened = { what: "not_paid", error: new Unreachable() };
  const of = (consent: boolean | null) => ({ once: "o", quoteId: "q-card", consent });

  test("begins with the default, else with the method from before", () => {
    expect(after([read])[1]).toEqual({ do: "quote", method: "card" });
    expect(after([read], begin({ ...mine, methodId: "new" }))[1]).toEqual({ do: "quote", method: "new" });
    expect(after([{ what: "methods", usable: [] }])[1]).toBeNull();
    expect(after([read, read])[1]).toBeNull();
  });

  test("shows the quote of the method that was chosen last", () => {
    const [now] = after([read, { what: "chosen", method: "bank" }, quoted("bank"), quoted("card")]);
    expect(now.shown?.id).toBe("q-bank");
    expect(now.paying).toMatchObject({ quoteId: "q-bank", methodId: "bank" });
  });

  test("sends once where there is no surcharge", () => {
    const [now, todo] = after([read, quoted("card"), press]);
    expect(todo).toEqual({ do: "send", of: of(null) });
    expect(inDoubt(now.paying)).toEqual(of(null));
    expect(next(now, press)[1]).toBeNull();
  });

  test.each([true, false])("asks about a surcharge, and sends the answer %s", (accepted) => {
    const [now, todo] = after([read, quoted("card", { surcharge_minor: 3 }), press]);
    expect([now.asking, todo]).toEqual([true, null]);
    expect(after([answer(accepted)], now)[1]).toEqual({ do: "send", of: of(accepted) });
  });

  describe("when Pay is pressed before the quote of another method came", () => {
    const waiting = (): Review => after([read, quoted("card"), { what: "chosen", method: "bank" }, press])[0];

    test("never sends the quote that is still shown", () => {
      expect(after([press], waiting())[1]).toBeNull();
    });

    test("goes on where the total is the one that was seen", () => {
      const [, todo] = after([quoted("bank")], waiting());
      expect(todo).toEqual({ do: "send", of: { once: "o", quoteId: "q-bank", consent: null } });
    });

    test("waits for another press where the total is another one", () => {
      const [now, todo] = after([quoted("bank", { total_minor: 99 })], waiting());
      expect([now.shown?.id, todo]).toEqual(["q-bank", null]);
    });

    test("is taken back by another choice", () => {
      expect(after([{ what: "chosen", method: "card" }, quoted("card")], waiting())[1]).toBeNull();
    });

    test("asks about a surcharge with its total", () => {
      expect(after([quoted("bank", { total_minor: 103, surcharge_minor: 3 })], waiting())[0].asking).toBe(true);
    });
  });

  test("asks anew where the total changed under the question", () => {
    const asked = after([read, quoted("card", { surcharge_minor: 3 }), press, { what: "expires" }])[0];
    expect(after([quoted("card", { surcharge_minor: 3 })], asked)[0].asking).toBe(true);
    const [now] = after([quoted("card", { surcharge_minor: 3, total_minor: 99 })], asked);
    expect([now.asking, now.changed]).toEqual([false, true]);
  });

  describe("without an answer", () => {
    const lost = (): Review => after([read, quoted("card"), press, lostAnswer])[0];

    test("sends the same again, whatever is pressed", () => {
      for (const event of [press, { what: "again" }] as Happened[])
        expect(after([event], lost())[1]).toEqual({ do: "send", of: of(null) });
    });

    test("quotes nothing else", () => {
      for (const event of [{ what: "chosen", method: "bank" }, { what: "expires" }, quoted("card")] as Happened[])
        expect(after([event], lost())).toEqual([lost(), null]);
    });

    test("asks what the quote became after a reload", () => {
      const [now, todo] = after([read], begin(lost().paying));
      expect(todo).toEqual({ do: "quote", method: "card" });
      expect(after([quoted("card", { payment_id: "p" })], now)[1]).toEqual({ do: "arrive", payment: "p" });
      expect(inDoubt(after([quoted("card")], now)[0].paying)).toBeNull();
    });
  });

  describe("when the payment is refused", () => {
    const sent = after([read, quoted("card"), press])[0];
    const not = (more: object, slug = "quote-stale"): Happened => ({
      what: "not_paid",
      error: new Refused({ ...refused(409).problem, type: `urn:paidup:problem:${slug}`, ...more }),
    });

    test("shows what can be paid instead", () => {
      const [now, todo] = after([not({ new_quote: quote("q2", "card") })], sent);
      expect([now.changed, now.shown?.id, now.paying.quoteId, todo]).toEqual([true, "q2", "q2", null]);
      expect(after([press], now)[1]).toEqual({ do: "send", of: { once: "o", quoteId: "q2", consent: null } });
    });

    test("arrives at the payment that was made already", () => {
      expect(after([not({ payment_id: "p" })], sent)[1]).toEqual({ do: "arrive", payment: "p" });
      expect(after([not({}, "idempotency-key-reused")], sent)[1]).toEqual({ do: "arrive", payment: null });
    });

    test("quotes anew when that is asked for", () => {
      const [now] = after([not({})], sent);
      expect(inDoubt(now.paying)).toBeNull();
      expect(after([{ what: "again" }], now)[1]).toEqual({ do: "quote", method: "card" });
    });
  });

  test("sends nothing without network", () => {
    const [now, todo] = after([read, quoted("card"), { what: "pressed", offline: true }]);
    expect([now.stopped, todo, inDoubt(now.paying)]).toEqual([true, null, null]);
  });

  test("a quote that is refused is asked for no more", () => {
    const not_quoted = (error: unknown): Happened => ({ what: "not_quoted", method: "card", error });
    const from = begin({ ...mine, quoteId: "q", methodId: "card" });
    expect(after([read, not_quoted(refused(404))], from)[0].paying.quoteId).toBeUndefined();
    expect(after([read, not_quoted(new Unreachable())], from)[0].paying.quoteId).toBe("q");
    expect(after([read, not_quoted(refused(404)), { what: "quote_again" }], from)[1]).toMatchObject({ do: "quote" });
  });

  test("a paid one leads to its page, or to the bank's", () => {
    const sent = after([read, quoted("card"), press])[0];
    const paid = (next_action_url: string | null): Happened => ({
      what: "paid",
      payment: { id: "p", next_action_url },
    });
    expect(after([paid(null)], sent)[1]).toEqual({ do: "arrive", payment: "p" });
    expect(after([paid("https://bank")], sent)[1]).toEqual({ do: "leave", payment: "p", url: "https://bank" });
  });
});

test("what is in dispute is left out at first", () => {
  expect(startOf({ payable_now_minor: 10_000, disputed_minor: 4_000 })).toBe(6_000);
  expect(startOf({ payable_now_minor: 10_000, disputed_minor: 10_000 })).toBeNull();
  expect(startOf({ payable_now_minor: 10_000, disputed_minor: 0 })).toBeNull();
});

test("an invoice that is in dispute as far as it can be paid is not among all", () => {
  expect(allDisputed({ payable_now_minor: 10_000, disputed_minor: 10_000 })).toBe(true);
  expect(allDisputed({ payable_now_minor: 10_000, disputed_minor: 4_000 })).toBe(false);
  expect(allDisputed({ payable_now_minor: 10_000, disputed_minor: 0 })).toBe(false);
});

describe("an invoice on review", () => {
  const part = (id: string, amount_minor: number) => ({
    invoice_id: id,
    number: id,
    due_on: "2026-12-01",
    amount_minor,
    payable_now_minor: 1_000,
    stays_open_minor: 0,
    disputed_minor: 0,
  });

  test("stands there once, with what credit pays of it", () => {
    const found = invoicesOf({
      credit_allocations: [part("a", 1_000), part("b", 300)],
      allocations: [part("b", 700), part("c", 500)],
    });
    expect(found.map(({ invoice_id, paid, credit }) => [invoice_id, paid, credit])).toEqual([
      ["a", 1_000, 1_000],
      ["b", 1_000, 300],
      ["c", 500, 0],
    ]);
  });
});
