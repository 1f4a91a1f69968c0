"use strict";
(() => {
  // Plots: those on the first screen once the text is there, the others when the browser has time or a reader comes
  // near them. Plotly is half a second of work: it is read as text first, and run when the first plot is drawn.
  const holders = [...document.querySelectorAll(".plotly-graph-div")];
  const runPlotly = () => {
    const script = document.createElement("script");
    script.textContent = document.getElementById("plotly").textContent;
    document.head.append(script);
  };
  const draw = (holder) => {
    if (holder.dataset.drawn) return;
    holder.dataset.drawn = "yes";
    if (!window.Plotly) runPlotly();
    const figure = JSON.parse(holder.nextElementSibling.textContent);
    Plotly.newPlot(holder, figure.data, figure.layout, figure.config);
  };
  const start = () => {
    const waiting = holders.filter((holder) => {
      if (holder.getBoundingClientRect().top > innerHeight) return true;
      draw(holder);
      return false;
    });
    const near = new IntersectionObserver(
      (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
      { rootMargin: "600px" },
    );
    waiting.forEach((holder) => near.observe(holder));
    const drawOn = (deadline) => {
      do draw(waiting.shift()); while (waiting.length && deadline.timeRemaining() > 8);
      if (waiting.length) requestIdleCallback(drawOn);
    };
    if (waiting.length) requestIdleCallback(drawOn);
  };
  requestAnimationFrame(() => setTimeout(start));

  // Paper is narrower than a screen: plots are drawn anew for it.
  const PAPER_PIXELS = 690;
  addEventListener("beforeprint", () =>
    holders.forEach((holder) => {
      draw(holder);
      Plotly.relayout(holder, { width: PAPER_PIXELS });
    }),
  );
  addEventListener("afterprint", () => holders.forEach((holder) => Plotly.relayout(holder, { width: null, autosize: true })));

  // The page of a sweep that runs loads itself anew, where it stands by itself and nobody is typing into it.
  const seconds = Number(document.body.dataset.reloadSeconds);
  const isAlone = window.top === window;
  const reload = () => {
    const isUsed = document.hidden || [...document.querySelectorAll("input")].some((input) => input.value);
    if (isUsed) setTimeout(reload, 1000);
    else location.reload();
  };
  if (seconds && isAlone) {
    document.querySelector(".kicker").append(`; loads itself anew every ${seconds} s`);
    setTimeout(reload, 1000 * seconds);
  }

  // Tables of trials: sorted by a column's title, filtered by words.
  const keyOf = (row, index) => {
    const cell = row.cells[index];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    return String(one).localeCompare(String(other), undefined, { numeric: true });
  };
  const isEmpty = (key) => key === "" || key === "–";
  const sortBy = (table, header, index) => {
    const rising = header.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const keyed = [...table.tBodies[0].rows].map((row) => [keyOf(row, index), row]);
    keyed.sort(([one], [other]) => {
      if (isEmpty(one) || isEmpty(other)) return isEmpty(one) - isEmpty(other);
      return rising ? compare(one, other) : compare(other, one);
    });
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  };
  const addFilter = (table) => {
    const box = document.createElement("p");
    const input = document.createElement("input");
    const count = document.createElement("span");
    box.className = "filter";
    input.type = "search";
    input.placeholder = "Filter, as in: adam completed";
    input.setAttribute("aria-label", `Filter ${table.getAttribute("aria-label")}`);
    count.setAttribute("role", "status");
    box.append(input, count);
    table.parentElement.before(box);
    const rows = [...table.tBodies[0].rows];
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      count.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
    });
  };
  for (const table of document.querySelectorAll("table.trials")) {
    [...table.tHead.rows[0].cells].forEach((header, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      button.addEventListener("click", () => sortBy(table, header, index));
      header.replaceChildren(button);
    });
    addFilter(table);
  }
})();
