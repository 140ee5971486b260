// Loaded before the page is painted, so that it never shows in the wrong theme.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem("lastword.theme");
    } catch {
      return null; // storage is forbidden here
    }
  };
  const current = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
  if (stored()) root.dataset.theme = stored();
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const chosen = current() === "dark" ? "light" : "dark";
      const own = dark.matches ? "dark" : "light";
      if (chosen === own) delete root.dataset.theme; // it follows the system again
      else root.dataset.theme = chosen;
      try {
        if (chosen === own) localStorage.removeItem("lastword.theme");
        else localStorage.setItem("lastword.theme", chosen);
      } catch {
        // for this visit only
      }
    });
  });
})();
