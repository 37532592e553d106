/* Keeps the inbox up to date: on a change, fetches the parts of the page again and replaces the elements that differ. */

import { asking, follow, refreshSoon } from "./live.js";

const inbox = document.querySelector(".inbox");

/* --- the newest message ------------------------------------------------------------------------------------------- */

// The address asks for the messages around one of them. Whoever saw the newest message goes on to see the newest.
let followsEnd = false;

asking.prepare = (url) => {
    if (!followsEnd) return;
    url.searchParams.delete("at");
    url.searchParams.set("page", "latest");
};

asking.isOutgrown = (fresh) => {
    if (followsEnd || document.getElementById("newer") || !fresh.getElementById("newer")) return false;
    followsEnd = true;
    return true;
};

/* --- the event stream --------------------------------------------------------------------------------------------- */

const opened = Number(location.pathname.match(/\/(\d+)\/$/)?.[1] ?? 0);

function onChanges(results, isFirst) {
    const parts = [];
    // Ticks of own messages are in the list too.
    const isInList = (change) => change.resource !== "message" || change.row?.from_me;
    if (isFirst || results.some(isInList)) parts.push("list");
    const isInThread = (change) => !change.conversation_id || change.conversation_id === opened || change.id === opened;
    if (isFirst || results.some(isInThread)) parts.push("thread");
    refreshSoon(...parts.filter((part) => inbox.querySelector(`[data-part="${part}"]`)));
}

/* --- the keyboard ------------------------------------------------------------------------------------------------- */

function moveInList(step) {
    const links = [...inbox.querySelectorAll(".chat-link, .hit")];
    const at = links.indexOf(document.activeElement);
    const current = links.findIndex((link) => link.hasAttribute("aria-current"));
    links[Math.min(Math.max((at < 0 ? current : at) + step, 0), links.length - 1)]?.focus();
}

function onKey(event) {
    const isTyping = event.target.matches("input:not([type=checkbox]), select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
        const picker = inbox.querySelector(".picker[open]");
        if (picker) picker.open = false;
        else if (!isTyping) inbox.querySelector(".thread-back")?.click();
    } else if (isTyping) {
        return;
    } else if (event.key === "/") {
        inbox.querySelector(".search input").focus();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !event.target.closest(".thread, .picker")) {
        moveInList(event.key === "ArrowDown" ? 1 : -1);
    } else {
        return;
    }
    event.preventDefault();
}

/* --- the drop-down of numbers ------------------------------------------------------------------------------------- */

function fold(text) {
    return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function preparePicker(picker) {
    const search = picker.querySelector(".picker-search");
    const items = [...picker.querySelectorAll("li")];
    search.hidden = false;
    search.addEventListener("input", () => {
        const words = fold(search.value).split(/\s+/);
        for (const item of items) item.hidden = !words.every((word) => fold(item.textContent).includes(word));
    });
    search.addEventListener("keydown", (event) => {
        if (event.key === "Enter") items.find((item) => !item.hidden)?.querySelector("a").click();
    });
    picker.addEventListener("toggle", () => picker.open && search.focus());
    document.addEventListener("click", (event) => {
        if (!picker.contains(event.target)) picker.open = false;
    });
}

if (inbox) {
    follow(inbox, onChanges);
    document.addEventListener("keydown", onKey);
    for (const picker of inbox.querySelectorAll(".picker")) preparePicker(picker);
    for (const select of inbox.querySelectorAll(".label-filter select")) {
        select.addEventListener("change", () => select.form.requestSubmit());
    }
    inbox.querySelector('.chat-link[aria-current="page"]')?.scrollIntoView({ block: "nearest" });
}
