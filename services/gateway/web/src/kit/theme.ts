/** Light becomes dark and dark light, from now on in this browser (see public/theme.js). */
export function changeTheme(): void {
  const root = document.documentElement;
  const chosen = root.dataset["theme"];
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset["theme"] = dark ? "light" : "dark";
  localStorage.setItem("paidup.theme", root.dataset["theme"]);
}
