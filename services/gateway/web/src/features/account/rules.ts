const IDLE = 30 * 60_000; // ms that a session lasts without use

type Read = Readonly<{ expires_at: string; ends_at: string; readAt: number; usedAt: number }>;

/**
 * When a session ends, by this browser's clock, if nothing more is done. `readAt`: when it was read; `usedAt`: when a
 * request was answered last. A clock that is wrong by more than a session lasts is not believed.
 */
export function endOf({ expires_at, ends_at, readAt, usedAt }: Read): number {
  const lasts = Date.parse(expires_at) - readAt;
  const believed = lasts > 0 && lasts <= IDLE;
  const end = Math.max(readAt, usedAt) + (believed ? lasts : IDLE);
  return believed ? Math.min(end, Date.parse(ends_at)) : end;
}
