// Keeps the page live: replaces what changed, tells a lost link, speaks only when the answer changes.
// Without this file the page still works and reloads itself every five seconds.
"use strict";

const QUIET_MS = 5000; // The server speaks every second; five seconds of silence is a lost link.
const board = document.getElementById("plateau");
const lost = document.getElementById("lost");
const said = document.getElementById("said");
let heard = performance.now();
let shown = hour();
let spoken = answer();

function hour() {
  return new Date().toLocaleTimeString("fr-FR");
}

function answer() {
  return document.getElementById("answer").textContent.trim();
}

function show(html) {
  const open = new Set([...board.querySelectorAll("details[open] summary")].map((s) => s.textContent.split(" : ")[0]));
  const closed = new Set([...board.querySelectorAll("details:not([open]) summary")].map((s) => s.textContent.split(" : ")[0]));
  board.innerHTML = html;
  for (const details of board.querySelectorAll("details")) {
    const name = details.querySelector("summary").textContent.split(" : ")[0];
    if (open.has(name)) details.open = true;
    if (closed.has(name)) details.open = false;
  }
  heard = performance.now();
  shown = hour();
  if (answer() !== spoken) {
    spoken = answer();
    said.textContent = `Peut-on prendre des appels ? ${spoken}. ${document.getElementById("because").textContent}`;
  }
}

const stream = new EventSource("/live");
stream.addEventListener("board", (event) => show(event.data));

setInterval(() => {
  const silent = performance.now() - heard;
  const gone = silent > QUIET_MS;
  document.body.classList.toggle("lost", gone);
  lost.hidden = !gone;
  if (!gone) return;
  const text = `Liaison perdue : informations de ${shown}, elles ne sont plus à jour.`;
  if (lost.textContent !== text) lost.textContent = text;
  // The stream reconnects by itself; a plain request helps where a proxy holds streams back.
  fetch("/fragment").then((reply) => (reply.ok ? reply.text() : null)).then((html) => html && show(html)).catch(() => {});
  if (stream.readyState === EventSource.CLOSED) location.reload();
}, 2000);
