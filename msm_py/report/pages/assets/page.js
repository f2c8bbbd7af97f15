// Draws the figures of a page, in its colours; runs the buttons. Data is JSON in the page.
"use strict";
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
