const WHO = "paidup.who";
const UNFINISHED = /^paidup\.(paying|once\.|setup|bank)/;

/** From now on this tab is of this person: what somebody else left unfinished in it is forgotten. */
export function ownedBy(person: string): void {
  const before = sessionStorage.getItem(WHO);
  if (before !== null && before !== person)
    for (const name of Object.keys(sessionStorage)) if (UNFINISHED.test(name)) sessionStorage.removeItem(name);
  sessionStorage.setItem(WHO, person);
}
