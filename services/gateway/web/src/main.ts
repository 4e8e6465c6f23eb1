import "./styles/tokens.css";
import "./styles/portal.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { loadCompany } from "./api/company.svelte";
import { askEarly } from "./api/session";
import { loadPage } from "./routes";
import { languageAtFirst, speak } from "./words/index.svelte";

/** A part of the portal did not come: the network is away, or a newer portal was installed. Load the page anew. */
function anew(): void {
  if (!navigator.onLine) addEventListener("online", () => location.reload(), { once: true });
  else setTimeout(() => location.reload(), 5_000);
}

addEventListener("vite:preloadError", anew);
askEarly();
loadPage();
Promise.all([speak(languageAtFirst()), loadCompany()]).then(() => mount(App, { target: document.body }), anew);
