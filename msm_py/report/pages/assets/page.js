// Draws the figures of a page, in its colours; runs the buttons; sorts and filters its table. Data is
// JSON in the page.
"use strict";
(() => {
  // a cell's number: 1.23, +4.5%, <.001, 1,234; a name has none, and neither has what is missing
  function numberOf(text) {
    if (text.startsWith("<")) return 0;
    const found = /^[+-]?[\d,]*\.?\d+(e[+-]?\d+)?/.exec(text);
    return found ? parseFloat(found[0].replace(/,/g, "")) : null;
  }
  const cellText = (row, column) => row.cells[column].textContent.trim();
  const isMissing = (text) => text === "" || text === "\u2014";

  function sort(button) {
    const head = button.closest("th");
    const table = head.closest("table");
    const column = head.cellIndex;
    const isNumber = !head.classList.contains("text");
    const before = head.getAttribute("aria-sort");
    // numbers begin with the largest, names and places with the first
    const isDown = before ? before === "ascending" : isNumber && column > 0;
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => {
      const text = cellText(row, column);
      const value = isMissing(text) ? null : isNumber ? numberOf(text) ?? text : text.toLowerCase();
      return [value, row];
    });
    const sign = isDown ? -1 : 1;
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // missing ones last
      return typeof a === typeof b ? (a < b ? -sign : a > b ? sign : 0) : typeof a === "number" ? -1 : 1;
    });
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    body.append(...keyed.map(([, row]) => row));
  }

  // words that a row must hold, and comparisons such as Sharpe>1 or tied=yes
  function condition(word, heads) {
    const parts = /^(.+?)(<=|>=|!=|=|<|>)(.+)$/.exec(word);
    const column = parts ? heads.indexOf(parts[1]) : -1;
    if (column < 0) return (row) => row.textContent.toLowerCase().includes(word);
    const [, , sign, wanted] = parts;
    return (row) => {
      const text = cellText(row, column).toLowerCase();
      const [a, b] = [numberOf(text), numberOf(wanted)];
      const isSame = text === wanted || (a !== null && a === b);
      if (sign === "=" || sign === "!=") return isSame === (sign === "=");
      if (isMissing(text) || a === null || b === null) return false;
      return sign === "<" ? a < b : sign === ">" ? a > b : sign === "<=" ? a <= b : a >= b;
    };
  }

  function filter(input) {
    const table = document.getElementById(input.dataset.filter);
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim().toLowerCase());
    const joined = input.value.toLowerCase().replace(/\s*(<=|>=|!=|=|<|>)\s*/g, "$1");
    const words = joined.split(/\s+/).filter(Boolean);
    const all = words.map((word) => condition(word, heads));
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !all.every((holds) => holds(row));
      shown += !row.hidden;
    }
    const count = document.querySelector(`[data-count="${table.id}"]`);
    count.textContent = words.length ? `${shown} of ${table.tBodies[0].rows.length}` : "";
  }

  addEventListener("click", (event) => {
    const button = event.target.closest("button[data-sort]");
    if (button) sort(button);
  });
  addEventListener("input", (event) => {
    if (event.target.dataset.filter) filter(event.target);
  });
})();
(() => {
  const root = document.documentElement;
  const plots = [...document.querySelectorAll(".plot[data-spec]")];
  if (typeof Plotly === "undefined") {
    root.classList.add("without-plots");
    return;
  }
  const narrow = () => window.innerWidth < 600;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function colours() {
    const style = getComputedStyle(root);
    return Object.fromEntries(
      ["ink", "muted", "grid", "paper", "card", "line"].map((name) => [
        "$" + name,
        style.getPropertyValue("--" + name).trim(),
      ])
    );
  }

  // a colour of the page stands wherever a figure says $ink; texts and places are left alone
  const LEFT = new Set(["x", "y", "z", "text", "customdata", "hovertext", "ticktext", "labels"]);
  function coloured(value, palette) {
    if (typeof value === "string") return palette[value] ?? value;
    if (Array.isArray(value)) return value.map((part) => coloured(part, palette));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [
        key,
        LEFT.has(key) ? part : coloured(part, palette),
      ])
    );
  }

  function axis(own) {
    return {
      gridcolor: "$grid",
      zerolinecolor: "$line",
      linecolor: "$line",
      tickcolor: "$line",
      automargin: true,
      ...own,
    };
  }

  function layout(own) {
    const found = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: "$ink" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "$muted", activecolor: "$ink" },
      hovermode: own.hovermode || "x unified",
      hoverlabel: { bgcolor: "$card", bordercolor: "$line", font: { color: "$ink" } },
      dragmode: "zoom",
      ...own,
    };
    found.margin = { l: 48, r: 12, t: 26, b: 34, ...(own.margin || {}) };
    found.legend = {
      orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 }, ...(own.legend || {}),
    };
    for (const name of new Set(["xaxis", "yaxis", ...Object.keys(own)])) {
      if (/^[xy]axis\d*$/.test(name)) found[name] = axis(own[name] || {});
    }
    if (narrow()) {
      found.dragmode = false; // a finger scrolls the page
      found.height = Math.round(found.height * 0.9);
    }
    return found;
  }

  const config = {
    responsive: true,
    displaylogo: false,
    showSendToCloud: false, // nothing leaves the machine
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  };
  const state = new Map();

  function draw(element) {
    if (!state.has(element)) {
      const text = document.getElementById(element.dataset.spec).textContent;
      state.set(element, { spec: JSON.parse(text), relayouts: {} });
    }
    const { spec, relayouts } = state.get(element);
    const palette = colours();
    if (narrow()) element.style.minHeight = "0";
    const drawn = Plotly.react(
      element,
      coloured(spec.data, palette),
      coloured(layout(spec.layout), palette),
      { ...config, displayModeBar: narrow() ? false : "hover" }
    );
    return drawn
      .then(() => Object.keys(relayouts).length && Plotly.relayout(element, { ...relayouts }))
      .then(() => element.setAttribute("data-drawn", ""));
  }

  const drawAll = () => Promise.all(plots.map(draw));
  const again = () => [...state.keys()].forEach(draw);
  const watch = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting && !state.has(entry.target)) draw(entry.target);
      }
    },
    { rootMargin: "800px" }
  );
  plots.forEach((element) => watch.observe(element));
  const PRINTED = 680; // pixels between the margins of A4 and of Letter
  addEventListener("beforeprint", () => {
    drawAll();
    plots.forEach((element) => Plotly.relayout(element, { width: PRINTED }));
  });
  addEventListener("afterprint", () => {
    plots.forEach((element) => Plotly.relayout(element, { width: null, autosize: true }));
  });
  dark.addEventListener("change", again);

  addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.switch) {
      const element = document.getElementById(button.dataset.switch);
      const isOn = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(isOn));
      const change = JSON.parse(isOn ? button.dataset.pressed : button.dataset.released);
      const ready = state.has(element) ? Promise.resolve() : draw(element);
      ready.then(() => {
        Object.assign(state.get(element).relayouts, change);
        Plotly.relayout(element, change);
      });
    } else if (button.dataset.copy) {
      const text = document.getElementById(button.dataset.copy).textContent;
      navigator.clipboard.writeText(text).then(
        () => (button.textContent = "Copied"),
        () => {
          getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
          button.textContent = "Selected: press Ctrl+C";
        }
      );
    } else if ("theme" in button.dataset) {
      const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
      root.dataset.theme = isDark ? "light" : "dark";
      again();
    }
  });
  window.msmPages = { drawAll };
})();
