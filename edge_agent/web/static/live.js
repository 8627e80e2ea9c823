// Keeps the page current: replaces each section that changed, and says when the box cannot be reached.
"use strict";

const connection = document.getElementById("connection");

function replace(name, html) {
  const section = document.getElementById(name);
  if (!section) return;
  const open = Array.from(section.querySelectorAll("details[open]"), (details) => details.id);
  const focused = section.contains(document.activeElement) ? document.activeElement.closest("details") : null;
  section.innerHTML = html;
  for (const id of open) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  if (focused) document.getElementById(focused.id)?.querySelector("summary")?.focus();
}

function tell(isLive) {
  const text = isLive ? connection.dataset.live : connection.dataset.lost;
  if (connection.textContent !== text) connection.textContent = text;
  connection.className = isLive ? "live" : "lost";
  document.body.classList.toggle("lost", !isLive);
}

let source = null;

function connect() {
  source = new EventSource(document.body.dataset.events);
  source.addEventListener("open", () => tell(true));
  source.addEventListener("sections", (event) => {
    for (const [name, html] of Object.entries(JSON.parse(event.data))) replace(name, html);
  });
  source.addEventListener("error", () => {
    tell(false);
    // The browser gives up for good after an answer such as 503: then we ask again ourselves.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
  });
}

connect();
window.addEventListener("pagehide", () => source.close());
window.addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});
