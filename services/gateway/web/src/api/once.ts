import { undecided, unsure } from "./problems";

const TRIES = 6;
const PAUSE = 700; // ms, doubled after each try

type Kept<Body> = { key: string; body: Body };

const place = (what: string): string => `paidup.once.${what}`;

function read<Body>(what: string): Kept<Body> | null {
  const text = sessionStorage.getItem(place(what));
  return text ? (JSON.parse(text) as Kept<Body>) : null;
}

/** What was sent in this tab, and whose answer is not known yet. It stays over a reload. */
export const unanswered = <Body>(what: string): Body | null => read<Body>(what)?.body ?? null;

/**
 * Whether a form stays shut: its request is under way, or it is not known whether it was carried out. `before`: what is
 * unanswered since before this page.
 */
export const awaitsAnswer = (
  sending: { isPending: boolean; isIdle: boolean; error: unknown },
  before: unknown,
): boolean => sending.isPending || (sending.error ? unsure(sending.error) : sending.isIdle && before !== null);

/**
 * Send a request again, a few times, while it is not known whether it was carried out. It needs a key by which it counts
 * once. `lost` is called after each try without an answer.
 */
export async function insist<Answer>(send: () => Promise<Answer>, lost = (): void => {}): Promise<Answer> {
  for (let count = 1; ; count += 1) {
    try {
      return await send();
    } catch (error) {
      if (!unsure(error)) throw error;
      lost();
      if (count === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE * 2 ** (count - 1)));
    }
  }
}

/**
 * Send a request that moves money, so that it counts once. Its Idempotency-Key is kept beside the body until the answer
 * is known. A request that has no answer yet is sent again as it was, whatever `body` says now.
 */
export async function once<Body, Answer>(
  what: string,
  body: Body,
  send: (body: Body, key: string) => Promise<Answer>,
): Promise<Answer> {
  const before = read<Body>(what);
  const kept = before ?? { key: `portal-${crypto.randomUUID()}`, body };
  sessionStorage.setItem(place(what), JSON.stringify(kept));
  let doubt = before !== null;
  try {
    const answer = await insist(
      () => send(kept.body, kept.key),
      () => (doubt = true),
    );
    sessionStorage.removeItem(place(what));
    return answer;
  } catch (error) {
    if (!doubt || !undecided(error)) sessionStorage.removeItem(place(what));
    throw error;
  }
}
