"use strict";
// Sorting and filtering of the tables, and light or dark. Without it the page shows the same, unsorted and in full.
{
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const name = () => (theme.textContent = isDark() ? "Light" : "Dark");
  theme.hidden = false;
  theme.setAttribute("aria-label", "Switch between light and dark");
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  dark.addEventListener("change", name);
  name();

  const order = new Intl.Collator("en", { numeric: true });
  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === "") return 1;
    if (b === "") return -1;
    return typeof a === "number" ? a - b : order.compare(a, b);
  };
  const value = (row, column) => {
    const cell = row.cells[column];
    const key = cell.dataset.key;
    if (key === undefined) return cell.textContent;
    return key === "" ? "" : Number(key);
  };

  for (const table of document.querySelectorAll("main table")) {
    const body = table.tBodies[0];
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const up = heading.getAttribute("aria-sort") !== "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...body.rows].map((row) => [value(row, column), row]);
        // What has no number stays at the end in both directions.
        rows.sort(([a], [b]) => (a === "" || b === "" || up ? compare(a, b) : -compare(a, b)));
        body.append(...rows.map(([, row]) => row));
      });
    });

    const tools = document.querySelector(`.tools[data-for="${table.id}"]`);
    if (!tools) continue;
    const input = tools.querySelector("input");
    const count = tools.querySelector("output");
    tools.hidden = body.rows.length < 2;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${body.rows.length} rows` : "";
    });
  }

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));
}
