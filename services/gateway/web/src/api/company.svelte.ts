import { ask, api, type Schemas } from "./client";
import { useZone } from "../kit/say.svelte";

export type Look = Schemas["Look"];

const DEFAULT: Look = {
  name: "Paidup",
  logo: null,
  brand_colour: "#0e5358",
  text_on_brand: "#ffffff",
  brand_colour_dark: "#83c9c4",
  text_on_brand_dark: "#0a2123",
  time_zone: "America/New_York",
  languages: ["en", "es"],
};
let look = $state.raw<Look>(DEFAULT);

export const company = (): Look => look;

/** The values of the brand's tokens in tokens.css. */
export const tokensOf = (wanted: Look): Record<string, string> => ({
  "--brand": `light-dark(${wanted.brand_colour}, ${wanted.brand_colour_dark})`,
  "--on-brand": `light-dark(${wanted.text_on_brand}, ${wanted.text_on_brand_dark})`,
  "--brand-hover": "color-mix(in oklab, var(--brand) 85%, var(--ink))",
  "--brand-soft": "color-mix(in oklab, var(--brand) 12%, var(--sheet))",
});

/** The company's name, picture, colours and zone: asked for once, before the first page. Without them Paidup's stay. */
export async function loadCompany(): Promise<void> {
  try {
    wear(await ask(api.GET("/v1/company/look", { baseUrl: "/" }))); // it is the same one in a visit
  } catch {
    return;
  }
}

/** Show the pages as `wanted`, from now on. */
export function wear(wanted: Look): void {
  look = wanted;
  useZone(wanted.time_zone);
  const style = document.documentElement.style;
  const own = wanted.brand_colour !== DEFAULT.brand_colour;
  for (const [name, value] of Object.entries(tokensOf(wanted))) style.setProperty(name, own ? value : "");
}
