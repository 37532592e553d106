/* Keeps the inbox up to date: on a change, fetches the parts of the page again and replaces the elements that differ. */

const REFRESH_MS = 500; // changes within this time are shown together
const RECONNECT_MS = 10_000;
const inbox = document.querySelector(".inbox");

/* --- refreshing --------------------------------------------------------------------------------------------------- */

/** Make the children of an element those of another, and leave equal ones in place: so media go on playing. */
export function update(shown, fresh) {
    const wanted = [...fresh.children];
    if (wanted.some((child) => !child.id)) {
        if (!shown.isEqualNode(fresh)) shown.replaceChildren(...wanted);
        return;
    }
    const ids = new Set(wanted.map((child) => child.id));
    for (const child of [...shown.children]) if (!ids.has(child.id)) child.remove();
    let place = shown.firstElementChild;
    for (const child of wanted) {
        const old = [...shown.children].find((other) => other.id === child.id);
        if (old && old.isEqualNode(child)) {
            if (old === place) place = place.nextElementSibling;
            else shown.insertBefore(old, place);
            continue;
        }
        const isChecked = old?.querySelector("input:checked");
        const hasFocus = old?.contains(document.activeElement);
        if (old === place) place = place?.nextElementSibling ?? null;
        old?.remove();
        shown.insertBefore(child, place);
        if (isChecked) child.querySelector("input").checked = true;
        if (hasFocus) child.querySelector("a")?.focus();
    }
}

/** Fetch a part of the page as it is now, and show it. */
async function refresh(part) {
    const url = new URL(location.href);
    url.searchParams.set("part", part);
    const response = await fetch(url, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    // Each answer masks the token in another way, which is no difference.
    const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value;
    for (const input of fresh.querySelectorAll("[name=csrfmiddlewaretoken]")) input.setAttribute("value", token);
    for (const element of fresh.querySelectorAll("[data-live]")) {
        const shown = document.getElementById(element.id);
        if (shown) update(shown, element);
    }
}

const waiting = new Set();
let timer = null;

function refreshSoon(...parts) {
    for (const part of parts) if (inbox.querySelector(`[data-part="${part}"]`)) waiting.add(part);
    timer ??= setTimeout(async () => {
        const now = [...waiting];
        waiting.clear();
        await Promise.allSettled(now.map(refresh));
        timer = null;
        if (waiting.size) refreshSoon();
    }, REFRESH_MS);
}

/* --- the event stream --------------------------------------------------------------------------------------------- */

const opened = Number(location.pathname.match(/\/(\d+)\/$/)?.[1] ?? 0);

function follow() {
    const events = new EventSource(inbox.dataset.events);
    let isFirst = true;
    events.addEventListener("changes", (event) => {
        const { results } = JSON.parse(event.data);
        // The first event has the position only: what has changed since the page was made is not known.
        if (isFirst || results.some((change) => change.resource !== "message")) refreshSoon("list");
        if (isFirst || results.some((change) => !change.conversation_id || change.conversation_id === opened || change.id === opened)) {
            refreshSoon("thread");
        }
        // Ticks of own messages are in the list too.
        if (results.some((change) => change.resource === "message" && change.row?.from_me)) refreshSoon("list");
        isFirst = false;
        inbox.dataset.live = "on";
    });
    events.addEventListener("error", () => {
        inbox.dataset.live = "off";
        if (events.readyState !== EventSource.CLOSED) return; // the browser connects again
        setTimeout(() => {
            refreshSoon("list", "thread");
            follow();
        }, RECONNECT_MS);
    });
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
    follow();
    document.addEventListener("keydown", onKey);
    for (const picker of inbox.querySelectorAll(".picker")) preparePicker(picker);
    for (const select of inbox.querySelectorAll(".label-filter select")) {
        select.addEventListener("change", () => select.form.requestSubmit());
    }
    inbox.querySelector('.chat-link[aria-current="page"]')?.scrollIntoView({ block: "nearest" });
}
