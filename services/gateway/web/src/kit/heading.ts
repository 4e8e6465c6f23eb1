const LONGEST = 5_000; // ms until a page that waits for its data has drawn its heading

let first = true;
let watch: MutationObserver | undefined;

function focusOn(heading: HTMLElement): void {
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** What had the focus is gone: a screen reader goes on at the page's heading, and not at its beginning. */
export function focusHeading(): void {
  const heading = document.querySelector<HTMLElement>("main h1");
  if (heading) focusOn(heading);
}

/** After going to another page the focus is on its heading, so that a screen reader begins there. */
export function toHeading(): void {
  watch?.disconnect();
  if (first) {
    first = false;
    return;
  }
  const before = document.querySelector("main h1");
  const look = (): boolean => {
    const heading = document.querySelector<HTMLElement>("main h1");
    if (!heading || heading === before) return false;
    if (document.activeElement?.closest("main")) return true; // the reader is typing there already
    focusOn(heading);
    return true;
  };
  const mine = (watch = new MutationObserver(() => look() && mine.disconnect()));
  watch.observe(document.body, { childList: true, subtree: true });
  setTimeout(() => mine.disconnect(), LONGEST);
}
