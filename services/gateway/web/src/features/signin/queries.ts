import { api, ask, type Schemas } from "../../api/client";
import { entered } from "../../api/session";
import { go, navigate } from "../../routes";
import { aimAt, goal, link } from "./rules";

/** Have a code mailed; by a payer link, if somebody came by one. Each answer is the same for every address. */
export const sendCode = (email: string): Promise<Schemas["Taken"]> => {
  const token = link();
  const body = { email };
  return token
    ? ask(api.POST("/v1/payer-links/{token}/codes", { params: { path: { token } }, body }))
    : ask(api.POST("/v1/sign-in/codes", { body }));
};

/** Somebody is in: go on to the page that was asked for. */
export async function goOn(session: Schemas["SessionView"], asked: unknown): Promise<void> {
  await entered(session);
  await go(goal(asked));
}

/** To the page where the code is typed, and from there to the page that was asked for. */
export function toCode(asked: string): Promise<unknown> {
  aimAt(asked);
  return navigate("/login/code", { search: { to: asked } });
}
