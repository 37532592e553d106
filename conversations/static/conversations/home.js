/* Keeps the home page up to date: at once when a number changes, and every few seconds for figures, which are no rows. */

import { follow, refreshSoon } from "./live.js";

const POLL_MS = 4000;
const home = document.querySelector(".home");

function refresh() {
    if (!document.hidden) refreshSoon("live");
}

follow(home, refresh);
setInterval(refresh, POLL_MS);
document.addEventListener("visibilitychange", refresh);
