/* Keeps a page up to date: fetches parts of it again, and replaces the elements that differ. */

const REFRESH_MS = 500; // changes within this time are shown together
const RECONNECT_MS = 10_000;

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

/** How a page asks for its parts: a page may replace both functions. */
export const asking = {
    /** Change the address of a part, which is that of the page otherwise. */
    prepare(_url) {},
    /** Return whether to ask again, because the fresh part is not what the page goes on to show. */
    isOutgrown(_fresh) {
        return false;
    },
};

/** Fetch a part of the page as it is now; return null if the server refuses. */
async function load(part) {
    const url = new URL(location.href);
    url.searchParams.set("part", part);
    asking.prepare(url);
    const response = await fetch(url, { headers: { Accept: "text/html" }, redirect: "error" });
    return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
}

/** Fetch a part of the page as it is now, and show it. */
async function refresh(part) {
    let fresh = await load(part);
    if (fresh && asking.isOutgrown(fresh)) fresh = await load(part);
    if (!fresh) return;
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

/** Refresh parts of the page a moment later, each once. */
export function refreshSoon(...parts) {
    for (const part of parts) waiting.add(part);
    timer ??= setTimeout(async () => {
        const now = [...waiting];
        waiting.clear();
        await Promise.allSettled(now.map(refresh));
        timer = null;
        if (waiting.size) refreshSoon();
    }, REFRESH_MS);
}

/**
 * Follow the event stream that an element names, and mark the element as live.
 *
 * `onChanges` gets the changes. The first time there are none: what has changed since the page was made is not known.
 */
export function follow(element, onChanges) {
    const events = new EventSource(element.dataset.events);
    let isFirst = true;
    events.addEventListener("changes", (event) => {
        onChanges(JSON.parse(event.data).results, isFirst);
        isFirst = false;
        element.dataset.live = "on";
    });
    events.addEventListener("error", () => {
        element.dataset.live = "off";
        if (events.readyState !== EventSource.CLOSED) return; // the browser connects again
        setTimeout(() => follow(element, onChanges), RECONNECT_MS);
    });
}
