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
let stream = listen();

function hour() {
  return new Date().toLocaleTimeString("fr-FR");
}

function answer() {
  return document.getElementById("answer").textContent.trim();
}

function listen() {
  const stream = new EventSource("/live");
  stream.addEventListener("board", (event) => show(event.data));
  return stream;
}

// Folders that somebody opened or closed by hand, and how the server had sent them: a choice holds until the
// server opens or closes the folder by itself, for then something in it broke or was mended.
const chosen = new Map();
board.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (!summary) return;
  const details = summary.parentElement;
  chosen.set(folder(details), { open: !details.open, sent: details.dataset.sent === "open" });
});

function folder(details) {
  return details.querySelector("summary").textContent.split(" : ")[0];
}

function show(html) {
  board.innerHTML = html;
  for (const details of board.querySelectorAll("details")) {
    const choice = chosen.get(folder(details));
    const sent = details.open;
    details.dataset.sent = sent ? "open" : "closed";
    if (choice && choice.sent === sent) details.open = choice.open;
  }
  heard = performance.now();
  shown = hour();
  document.body.classList.remove("lost");
  lost.hidden = true;
  say();
}

function say() {
  if (answer() === spoken) return;
  spoken = answer();
  said.textContent = `Peut-on prendre des appels ? ${spoken}. ${document.getElementById("because").textContent}`;
}

// What was true when the link broke may be a lie now: the big word least of all may stay.
function forget() {
  document.body.classList.add("lost");
  lost.hidden = false;
  lost.textContent = `Liaison perdue : informations de ${shown}, elles ne sont plus à jour.`;
  const big = board.querySelector(".answer");
  big.className = "answer blind stale";
  document.getElementById("answer").innerHTML = '<span class="shape" aria-hidden="true">?</span> ON NE SAIT PAS';
  document.getElementById("because").textContent = "La liaison avec la surveillance est perdue.";
  for (const old of board.querySelectorAll(".broken, .since, .age")) old.remove();
  say();
}

setInterval(() => {
  if (performance.now() - heard <= QUIET_MS) return;
  if (lost.hidden) forget();
  // The stream reconnects by itself, unless it was refused; a plain request helps where a proxy holds
  // streams back.
  if (stream.readyState === EventSource.CLOSED) stream = listen();
  fetch("/fragment").then((reply) => (reply.ok ? reply.text() : null)).then((html) => html && show(html)).catch(() => {});
}, 1000);
