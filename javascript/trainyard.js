/* What all parts of the page's script share: asking the server, writing into the page, the polling loop.
 *
 * It asks Trainyard's own routes, by addresses relative to the page, and works the same under every version of Gradio.
 * User data is written as text, never as HTML. The other files in this folder are loaded after this one, in the order
 * of their names, and find everything in the single global window.trainyard.
 */
window.trainyard = (function () {
    "use strict";

    const ROOT = "trainyard";
    const BUSY_EVERY = 1000;
    const IDLE_EVERY = 3000;

    const byId = (name) => document.getElementById(`${ROOT}_${name}`);

    // ---- asking ---------------------------------------------------------------------------------------------------

    function address(route) {
        const folder = window.location.pathname.replace(/\/*$/, "/");
        return new URL(`${folder}trainyard/v1/${route}`, window.location.origin).href;
    }

    /* The page's token. Where images need it, too, they have it as a cookie: they take no header. */
    function token() {
        const element = byId("token");
        if (!element) return "";
        const {token, cookie} = element.dataset;
        if (cookie !== undefined) {
            document.cookie = `trainyard-token=${token}; path=${new URL(address("")).pathname}; SameSite=Strict`;
        }
        return token;
    }

    /* POST if there is a body: a file as it is, anything else as JSON. */
    async function ask(route, body) {
        // A WebUI that reloads has taken the page away, and its server is about to end: whoever polls stops asking.
        if (!document.getElementById(ROOT)) throw new Error(say("status.page_gone"));
        const isFile = body instanceof Blob;
        const headers = {"X-Trainyard-Token": token()};
        const options = body === undefined ? {headers} : {
            method: "POST",
            headers: {...headers, "Content-Type": isFile ? "application/octet-stream" : "application/json"},
            body: isFile ? body : JSON.stringify(body),
        };
        const answer = await fetch(address(route), options);
        const found = await answer.json();
        if (!answer.ok) throw new Error(found.error || found.detail || say("status.status", {status: answer.status}));
        return found;
    }

    // ---- words ----------------------------------------------------------------------------------------------------

    let words = null;

    /* A text of the page in its language. {name} becomes the value of that name, {count:image|images} the number with
     * the matching word. */
    function say(key, values = {}) {
        const token = byId("token");
        if (!words && token) words = JSON.parse(token.dataset.words);
        const sentence = (words && words[key]) || key;
        return sentence.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (whole, name, one, many) => {
            if (!(name in values)) return whole;
            const value = String(values[name]);
            return one === undefined ? value : `${value} ${value === "1" ? one : many}`;
        });
    }

    // ---- writing --------------------------------------------------------------------------------------------------

    function make(tag, className, text) {
        const element = document.createElement(tag);
        if (className) element.className = `${ROOT}-${className}`;
        if (text !== undefined && text !== null) element.textContent = text;
        return element;
    }

    function button(words, act) {
        const made = make("button", "button", words);
        made.type = "button";
        made.addEventListener("click", act);
        return made;
    }

    /* Click one of the page's hidden buttons, after writing a text into its hidden field. */
    function pressUnseen(button, field, text) {
        if (field) {
            const box = byId(field).querySelector("textarea, input");
            box.value = text;
            box.dispatchEvent(new Event("input", {bubbles: true}));
        }
        setTimeout(() => byId(button).click(), field ? 50 : 0); // first Gradio has to take over the text
    }

    function write(element, text) {
        if (element.textContent !== text) element.textContent = text;
        element.hidden = !text;
    }

    /* What a field of the form holds: its text, its choice, or whether it is ticked. */
    function fieldValue(name) {
        const field = byId(name);
        const chosen = field.querySelector("input[type=radio]:checked");
        if (chosen) return chosen.value;
        const box = field.querySelector("textarea, input");
        return box.type === "checkbox" ? box.checked : box.value;
    }

    /* Fill a place with elements; they are made again only if what they show has changed. */
    function renew(place, shown, makeElements) {
        const version = JSON.stringify(shown);
        place.hidden = !shown || shown.length === 0;
        if (place.shown === version) return;
        place.shown = version;
        place.replaceChildren(...(place.hidden ? [] : makeElements()));
    }

    /* The rows of an account of a run's data; what is odd is marked. */
    function accountRows(rows) {
        return rows.map(({heading, text, odd}) => {
            const row = make("p", odd ? "account-odd" : "account-row");
            row.append(make("b", "", heading), " ", make("span", "", text));
            return row;
        });
    }

    function number(value, digits = 4) {
        return value === null || value === undefined ? "–" : Number(value.toPrecision(digits)).toString();
    }

    function duration(seconds) {
        if (seconds === null || seconds === undefined) return "–";
        const whole = Math.max(0, Math.round(seconds));
        const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
        const two = (n) => String(n).padStart(2, "0");
        return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
    }

    const HOUR = new Intl.DateTimeFormat([], {hour: "2-digit", minute: "2-digit"}); // slower to make than to use

    function clock(seconds) {
        const date = new Date(seconds * 1000);
        const sameDay = date.toDateString() === new Date().toDateString();
        return sameDay ? HOUR.format(date) : `${date.toLocaleDateString()} ${HOUR.format(date)}`;
    }

    /* version: for names that are used again with other content, which the browser would take from its cache. */
    function imageFigure(name, caption, folder = "pictures", version = "") {
        const figure = make("figure");
        const link = document.createElement("a");
        link.href = address(`${folder}/${encodeURIComponent(name)}${version && `?${encodeURIComponent(version)}`}`);
        link.target = "_blank";
        const image = document.createElement("img");
        image.src = link.href;
        image.alt = caption;
        link.append(image);
        figure.append(link, make("figcaption", "", caption));
        return figure;
    }

    /* An image made during training; one of several prompts says which on hovering. */
    function previewFigure(image, folder, version) {
        const caption = image.number ? say("status.image_of", image) : say("status.image", image);
        const figure = imageFigure(image.name, caption, folder, version);
        figure.title = image.prompt || "";
        figure.image = image; // what is clicked is shown large, in trainyard_film.js
        return figure;
    }

    // ---- polling ---------------------------------------------------------------------------------------------------

    const panels = [];
    let timer = null;
    let asking = false;
    let again = false;

    /* A tab that is opened is updated at once. */
    const widths = new WeakMap();
    const appearing = new ResizeObserver((entries) => {
        for (const {target, contentRect} of entries) {
            if (contentRect.width && !widths.get(target)) refresh();
            widths.set(target, contentRect.width);
        }
    });

    /* A part of the page that is kept up to date.
     *
     * name: its element's id, without our prefix.
     * build: called once with the element, when it exists.
     * show: called with the element and the server's status, about once a second during a run; may be async.
     * onlySeen: whether it is skipped while it is not visible.
     */
    function addPanel(name, {build, show, onlySeen = false}) {
        panels.push({name, build, show, onlySeen});
        refresh();
    }

    function built(panel) {
        const element = byId(panel.name);
        if (element && element.dataset.built === undefined) {
            element.dataset.built = "";
            panel.build(element);
            appearing.observe(element);
        }
        return element;
    }

    async function refresh() {
        again = asking;
        if (asking) return;
        asking = true;
        let every = IDLE_EVERY;
        const told = {problem: "", status: null};
        try {
            if (document.getElementById(ROOT)) every = await look(told);
        } catch (error) {
            told.problem = say("status.no_answer", {what: error.message});
        }
        document.dispatchEvent(new CustomEvent("trainyard-round", {detail: told}));
        asking = false;
        clearTimeout(timer);
        timer = setTimeout(refresh, again ? 0 : document.hidden ? 5 * every : every);
    }

    let prepared = false;

    /* A visitor will probably train soon: have the server import what that needs. */
    async function prepare() {
        prepared = true;
        try {
            await ask("prepare", {});
        } catch (error) {
            prepared = false;
        }
    }

    async function look(told) {
        if (!prepared && document.getElementById(ROOT).offsetParent !== null) prepare();
        const found = panels.map((panel) => [panel, built(panel)]).filter(([, element]) => element);
        const status = await ask("status");
        told.status = status;
        let busy = status.running;
        for (const [panel, element] of found) {
            const seen = element.offsetParent !== null;
            if (panel.onlySeen && !seen) continue;
            busy = busy || panel.onlySeen;
            await panel.show(element, status);
        }
        document.getElementById(ROOT).dataset.state = !status.running ? "idle" : status.pausing ? "paused" : "running";
        return busy ? BUSY_EVERY : IDLE_EVERY;
    }

    document.addEventListener("visibilitychange", () => document.hidden || refresh());
    const isNew = ({name}) => byId(name) && byId(name).dataset.built === undefined;

    // A click may have started something: look soon. Or shown a tab for the first time: build its parts at once.
    document.addEventListener("click", (event) => {
        const root = document.getElementById(ROOT);
        if (!root || !root.contains(event.target)) return;
        requestAnimationFrame(() => panels.some(isNew) && refresh());
        setTimeout(refresh, 250);
    });
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", refresh);

    return {
        ROOT, byId, address, ask, say, make, button, write, renew, pressUnseen, number, duration, clock, imageFigure,
        previewFigure, accountRows, fieldValue, addPanel, refresh,
    };
})();
