// Puts the moving chart, with its tooltips, in place of the still one. Without scripts the still one stays.
for (const holder of document.querySelectorAll("[data-chart]")) {
  const chart = JSON.parse(document.getElementById("chart-" + holder.dataset.chart).textContent);
  vegaEmbed(holder, chart, { renderer: "svg", actions: false, tooltip: { theme: "page" } });
}
