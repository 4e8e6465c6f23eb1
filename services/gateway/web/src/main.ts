import "./styles/tokens.css";
import "./styles/portal.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { loadCompany } from "./api/company.svelte";
import { languageOfBrowser, speak } from "./words/index.svelte";

await Promise.all([speak(languageOfBrowser()), loadCompany()]);
mount(App, { target: document.body });
