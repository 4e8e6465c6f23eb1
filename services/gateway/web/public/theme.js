// Before the first paint: the theme that the reader chose in this browser. Without one, the system's is used.
try {
  const chosen = localStorage.getItem("paidup.theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // storage is switched off: the system's theme stays
}
