import { createRouter } from "sv-router";
import { base, visiting } from "./api/client";
import Frame from "./features/frame/Frame.svelte";
import Missing from "./features/frame/Missing.svelte";
import { toHeading } from "./kit/heading";
import { paramsIn } from "./kit/path";
import { alsoSpeak } from "./words/index.svelte";

const hooks = { afterLoad: toHeading };
const speaks = (part: "desk" | "support") => ({ beforeLoad: () => alsoSpeak(part), onPreload: () => alsoSpeak(part) });

/** The customer's pages that change nothing, and those of tickets. */
const shown = {
  "/": () => import("./features/home/Home.svelte"),
  "/invoices": () => import("./features/invoices/List.svelte"),
  "/invoices/:id": () => import("./features/invoices/Detail.svelte"),
  "/payments": () => import("./features/payments/List.svelte"),
  "/payments/:id": () => import("./features/payments/Detail.svelte"),
  "/support": {
    "/": () => import("./features/support/List.svelte"),
    "/new": () => import("./features/support/New.svelte"),
    "/:id": () => import("./features/support/Ticket.svelte"),
    hooks: speaks("support"),
  },
};

const customers = () => import("./features/desk/Customers.svelte");
const receipts = () => import("./features/receipts/List.svelte");
const files = () => import("./features/bank/Runs.svelte");
const failures = () => import("./features/failures/Failures.svelte");

const pages = {
  "/login": () => import("./features/signin/Email.svelte"),
  "/login/code": () => import("./features/signin/Code.svelte"),
  "/login/password": () => import("./features/signin/Password.svelte"),
  "/forgot": () => import("./features/signin/Forgot.svelte"),
  "/invite/:token": () => import("./features/signin/Register.svelte"),
  "/confirm/:token": () => import("./features/signin/Confirm.svelte"),
  "/reset/:token": () => import("./features/signin/Reset.svelte"),
  "/i/:token": () => import("./features/signin/Link.svelte"),
  "/": {
    ...shown,
    "/pay": () => import("./features/paying/Choose.svelte"),
    "/pay/review": () => import("./features/paying/Review.svelte"),
    "/pay/return": () => import("./features/paying/Return.svelte"),
    "/account": () => import("./features/account/Details.svelte"),
    "/account/password": () => import("./features/account/Password.svelte"),
    "/account/sessions": () => import("./features/account/Sessions.svelte"),
    "/account/viewers": () => import("./features/account/Viewers.svelte"),
    "/account/methods": () => import("./features/methods/List.svelte"),
    "/account/methods/add": () => import("./features/methods/Add.svelte"),
    "/account/methods/return": () => import("./features/methods/Return.svelte"),
    layout: Frame,
  },
  "/desk": {
    "/": customers,
    "/customers": customers, // a person may type it, as the next ones
    "/contacts": customers,
    "/invoices": customers,
    "/receipts": receipts,
    "/files": files,
    "/dead-letters": failures,
    "/customers/new": () => import("./features/desk/NewCustomer.svelte"),
    "/customers/:id": () => import("./features/desk/Customer.svelte"),
    "/customers/:id/change": () => import("./features/desk/ChangeCustomer.svelte"),
    "/customers/:id/invoices": () => import("./features/desk/CustomerInvoices.svelte"),
    "/customers/:id/invoices/new": () => import("./features/desk/NewInvoice.svelte"),
    "/customers/:id/visits": () => import("./features/desk/CustomerVisits.svelte"),
    "/invoices/:id": () => import("./features/desk/Invoice.svelte"),
    "/staff": () => import("./features/company/Staff.svelte"),
    "/keys": () => import("./features/company/Keys.svelte"),
    "/keys/new": () => import("./features/company/NewKey.svelte"),
    "/settings": () => import("./features/company/Settings.svelte"),
    "/failures": failures,
    "/exceptions": () => import("./features/bank/Exceptions.svelte"),
    "/exceptions/:id": () => import("./features/bank/Exception.svelte"),
    "/bank": files,
    "/bank/:id": () => import("./features/bank/Run.svelte"),
    "/mails": () => import("./features/desk/Mails.svelte"),
    "/payments": receipts,
    "/payments/:id": () => import("./features/receipts/Detail.svelte"),
    "/receipts/new": () => import("./features/receipts/Record.svelte"),
    "/customers/:id/tickets": () => import("./features/tickets/CustomerTickets.svelte"),
    "/tickets": () => import("./features/tickets/List.svelte"),
    "/saved-replies": () => import("./features/tickets/SavedReplies.svelte"),
    "/disputes": () => import("./features/disputes/List.svelte"),
    "/tickets/:id": () => import("./features/tickets/Ticket.svelte"),
    layout: () => import("./features/desk/Desk.svelte"),
    hooks: speaks("desk"),
  },
  "*": Missing,
  hooks,
};

/** All that there is in a visit: who looks as a customer can neither pay nor change a thing, but writes tickets. */
const visit = { "/": { ...shown, "*": Missing, layout: Frame }, hooks };

const router = createRouter((visiting ? visit : pages) as typeof pages);
export const { p, navigate, route } = router;

/** The values of the path's names. The router's own getParams does not know of a visit's path. */
export const paramsOf = <P extends string>(pattern: P) => paramsIn(pattern, route.pathname);

/** Whether the reader is at this page, or at one below it. A visit's first page ends with a slash or does not. */
export const isActive = Object.assign((path: string): boolean => route.pathname === path, {
  startsWith: (path: string): boolean => route.pathname.startsWith(path),
});

const path = (): string => location.pathname.slice(base.length); // without a visit's

/** Where the reader is, with the question mark and all, without a visit's path. */
export const here = (): string => path() + location.search;

/** Load what the page at this address needs, before anything is mounted. Where that fails, the page itself asks again. */
export function loadPage(): void {
  router.preload((path() || "/") as "/").catch(() => undefined);
}

/** Go to a page that is given as text, with the question mark and all. */
export function go(to: string, replace = false): Promise<unknown> {
  const [path, search = ""] = to.split("?");
  return navigate(path as "/", { search: search && `?${search}`, replace });
}
