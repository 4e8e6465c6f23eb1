import { createRouter } from "sv-router";
import { base } from "./api/client";
import Frame from "./features/frame/Frame.svelte";
import Missing from "./features/frame/Missing.svelte";
import { toHeading } from "./kit/heading";

export const { p, navigate, isActive, route } = createRouter({
  "/login": () => import("./features/signin/Email.svelte"),
  "/login/code": () => import("./features/signin/Code.svelte"),
  "/login/password": () => import("./features/signin/Password.svelte"),
  "/forgot": () => import("./features/signin/Forgot.svelte"),
  "/invite/:token": () => import("./features/signin/Register.svelte"),
  "/confirm/:token": () => import("./features/signin/Confirm.svelte"),
  "/reset/:token": () => import("./features/signin/Reset.svelte"),
  "/i/:token": () => import("./features/signin/Link.svelte"),
  "/": {
    "/": () => import("./features/home/Home.svelte"),
    "/invoices": () => import("./features/invoices/List.svelte"),
    "/invoices/:id": () => import("./features/invoices/Detail.svelte"),
    "/pay": () => import("./features/paying/Choose.svelte"),
    "/pay/review": () => import("./features/paying/Review.svelte"),
    "/pay/return": () => import("./features/paying/Return.svelte"),
    "/payments": () => import("./features/payments/List.svelte"),
    "/payments/:id": () => import("./features/payments/Detail.svelte"),
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
    "/": () => import("./features/desk/Customers.svelte"),
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
    "/failures": () => import("./features/failures/Failures.svelte"),
    "/exceptions": () => import("./features/bank/Exceptions.svelte"),
    "/exceptions/:id": () => import("./features/bank/Exception.svelte"),
    "/bank": () => import("./features/bank/Runs.svelte"),
    "/bank/:id": () => import("./features/bank/Run.svelte"),
    "/mails": () => import("./features/desk/Mails.svelte"),
    "/payments": () => import("./features/receipts/List.svelte"),
    "/payments/:id": () => import("./features/receipts/Detail.svelte"),
    "/receipts/new": () => import("./features/receipts/Record.svelte"),
    layout: () => import("./features/desk/Desk.svelte"),
  },
  "*": Missing,
  hooks: { afterLoad: toHeading },
});

/** Where the reader is, with the question mark and all, without a visit's path. */
export const here = (): string => location.pathname.slice(base.length) + location.search;

/** Go to a page that is given as text, with the question mark and all. */
export function go(to: string, replace = false): Promise<unknown> {
  const [path, search = ""] = to.split("?");
  return navigate(path as "/", { search: search && `?${search}`, replace });
}
