import { base } from "./client";
import { STALE } from "./events";
import { queries } from "./queries";

const ALL = "*";
const GATHER = 40; // ms: a payment makes several events at once
const SOON = 300; // ms from the first page until its stream is open; after a longer time the pages read anew
const AGAIN = 2_000; // ms between tries when the stream is refused

/**
 * One event stream a browser: the tab that holds the lock reads it, and passes each event's type on to the others. When
 * that tab closes, the next one takes the lock. Returns how to stop.
 */
export function listen(): () => void {
  const name = `paidup.live${base}`;
  const channel = new BroadcastChannel(name);
  const stop = new AbortController();
  const began = Date.now();
  channel.onmessage = ({ data }: MessageEvent<string>) => take(data);
  addEventListener("online", () => take(ALL), { signal: stop.signal });
  navigator.locks
    .request(name, { signal: stop.signal }, () => read(channel, began, stop.signal))
    .catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
  return () => {
    stop.abort();
    channel.close();
  };
}

/**
 * Until `ended`; pages have been read since `began`. After a cut the browser itself goes on from the last event; a refused
 * stream is opened anew.
 */
function read(channel: BroadcastChannel, began: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let stream: EventSource;
    let timer: ReturnType<typeof setTimeout>;
    const pass = (type: string) => {
      channel.postMessage(type);
      take(type);
    };
    let missed = false; // events while no stream was open
    const open = () => {
      stream = new EventSource(`${base}/v1/events/stream`);
      for (const type of Object.keys(STALE)) stream.addEventListener(type, () => pass(type));
      stream.addEventListener("reset", () => pass(ALL));
      stream.onopen = () => {
        if (missed || Date.now() - began > SOON) pass(ALL);
        missed = false;
      };
      stream.onerror = () => {
        missed = true;
        if (stream.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN);
      };
    };
    // After a cut the browser itself would try again only after some seconds.
    const anew = () => {
      clearTimeout(timer);
      stream.close();
      missed = true;
      open();
    };
    addEventListener("online", anew, { signal: ended });
    ended.addEventListener("abort", () => {
      clearTimeout(timer);
      stream.close();
      resolve();
    });
    open();
  });
}

const stale = new Set<string>();

function take(type: string): void {
  if (!stale.size) setTimeout(refresh, GATHER);
  for (const key of type === ALL ? [ALL] : (STALE[type] ?? [])) stale.add(key);
}

function refresh(): void {
  const keys = [...stale];
  stale.clear();
  if (keys.includes(ALL)) void queries.invalidateQueries();
  else for (const key of keys) void queries.invalidateQueries({ queryKey: [key] });
}
