/* The line at the top: how much of the form is shown, the fields' help, a search over all settings, and an alert when
 * the server does not answer.
 */
(function () {
    "use strict";

    const {ROOT, byId, ask, say, make, write} = window.trainyard;

    const KEPT = `${ROOT}-view`;
    const MOST = 8;
    const LATE = 400; // ms; a fold is open by then

    const root = () => document.getElementById(ROOT);

    /* A browser may keep nothing; then each visit begins as the first one does. */
    function kept(name, value) {
        try {
            if (value !== undefined) window.localStorage.setItem(`${KEPT}-${name}`, value);
            return window.localStorage.getItem(`${KEPT}-${name}`) || "";
        } catch (error) {
            return "";
        }
    }

    function build(bar) {
        for (const each of bar.querySelectorAll("[data-view]")) {
            each.addEventListener("click", () => show(each.dataset.view, true));
        }
        byId("bar_help").addEventListener("click", () => help(root().dataset.help !== "on", true));
        const find = byId("bar_find");
        find.value = ""; // a browser may keep what was there before a reload
        find.addEventListener("focus", learn);
        find.addEventListener("input", () => look(find.value));
        find.addEventListener("keydown", (event) => steer(event, find));
        find.addEventListener("blur", () => setTimeout(close, 200)); // a click on one comes first
        show(kept("form") || "basic");
        help(kept("help") === "on");
    }

    function show(view, isChosen = false) {
        root().dataset.view = view;
        if (isChosen) kept("form", view);
        for (const each of byId("bar").querySelectorAll("[data-view]")) {
            each.setAttribute("aria-pressed", String(each.dataset.view === view));
        }
    }

    function help(isOn, isChosen = false) {
        root().dataset.help = isOn ? "on" : "off";
        if (isChosen) kept("help", isOn ? "on" : "off");
        byId("bar_help").setAttribute("aria-pressed", String(isOn));
    }

    // ---- the search -------------------------------------------------------------------------------------------------

    let settings = null;
    let found = [];
    let chosen = 0;

    async function learn() {
        if (settings) return;
        try {
            const modes = new Set([...byId("mode").querySelectorAll("input")].map((each) => each.value));
            const isPlaced = (each) => each.short !== "mode" && each.modes.some((mode) => modes.has(mode));
            settings = (await ask("settings")).settings.filter(isPlaced);
            look(byId("bar_find").value);
        } catch (error) {
            settings = null; // the alert says that the server does not answer
        }
    }

    const plain = (text) => text.normalize("NFKC").toLowerCase().replaceAll("_", " ").trim().replace(/\s+/g, " ");

    /* The settings with all of a text's words, the best first: called exactly so, by its name or by what else people
     * call it; called something that begins so; with the words in its names, as whole words and as parts of some; in its
     * other names as well; in its help and section. Of the same kind in the form's order.
     */
    function search(all, text) {
        const wanted = plain(text);
        const words = wanted.split(" ");
        const hasWhole = (where) => words.every((word) => ` ${where} `.includes(` ${word} `));
        const has = (where) => words.every((word) => where.includes(word));
        const rank = (each) => {
            const names = [each.label, each.short, each.key].map(plain);
            const also = each.also.map(plain);
            const called = [...names, ...also];
            const fits = [
                called.includes(wanted),
                called.some((name) => name.startsWith(wanted)),
                hasWhole(names.join(" ")),
                has(names.join(" ")),
                has(called.join(" ")),
                has(plain([...called, each.help, each.section].join(" "))),
            ];
            return fits.indexOf(true);
        };
        const ranked = wanted ? all.map((each) => ({each, at: rank(each)})).filter(({at}) => at >= 0) : [];
        return ranked.sort((one, other) => one.at - other.at).map(({each}) => each);
    }

    function look(text) {
        const all = search(settings || [], text);
        found = all.slice(0, MOST);
        chosen = 0;
        list(Boolean(settings && plain(text)), all.length - found.length);
    }

    function list(isAsked, more) {
        const place = byId("bar_found");
        const mode = modeNow();
        const rows = found.map((each, at) => {
            const row = make("li", "");
            row.id = `${ROOT}_bar_found_${at}`;
            row.setAttribute("role", "option");
            const where = each.modes.includes(mode) ? each.section : say("bar.in_mode", {mode: each.modes[0]});
            row.append(make("b", "", each.label), " ", make("small", "", where));
            row.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
            row.addEventListener("click", () => visit(each));
            return row;
        });
        if (!rows.length && isAsked) rows.push(make("li", "note", say("bar.none")));
        if (more) rows.push(make("li", "note", say("bar.more", {count: more})));
        place.replaceChildren(...rows);
        place.hidden = !isAsked;
        byId("bar_find").setAttribute("aria-expanded", String(isAsked));
        mark();
    }

    function mark() {
        const find = byId("bar_find");
        [...byId("bar_found").children].forEach((row, at) => {
            row.setAttribute("aria-selected", String(at === chosen && at < found.length));
        });
        if (found.length) find.setAttribute("aria-activedescendant", `${ROOT}_bar_found_${chosen}`);
        else find.removeAttribute("aria-activedescendant");
    }

    function steer(event, find) {
        const way = {ArrowDown: 1, ArrowUp: -1}[event.key];
        if (way && found.length) {
            event.preventDefault();
            chosen = (chosen + way + found.length) % found.length;
            mark();
        } else if (event.key === "Enter" && found.length) {
            event.preventDefault();
            visit(found[chosen]);
        } else if (event.key === "Escape") {
            find.value = "";
            look("");
        }
    }

    function close() {
        byId("bar_found").hidden = true;
        byId("bar_find").setAttribute("aria-expanded", "false");
    }

    const modeNow = () => (byId("mode").querySelector("input:checked") || {}).value;

    /* Show a setting's field and put the focus into it; in a mode that has it. */
    async function visit(setting) {
        byId("bar_find").value = "";
        look("");
        const tabs = [...root().querySelectorAll(`#${ROOT}_tabs [role=tab]`)];
        const training = tabs.find((each) => each.textContent.trim() === say("tab.train"));
        if (training) training.click();
        if (!setting.modes.includes(modeNow())) {
            const other = [...byId("mode").querySelectorAll("input")].find((each) => setting.modes.includes(each.value));
            if (other) other.click();
        }
        await reveal(setting.short);
    }

    /* The field of a setting, with what it is folded up in open. */
    async function reveal(name) {
        if (!byId(name) || !byId(name).getClientRects().length) show("all");
        for (const fold of foldsOf(name)) {
            const head = fold.querySelector(".label-wrap");
            if (head && !head.classList.contains("open")) head.click();
            await new Promise((done) => setTimeout(done, LATE)); // eslint-disable-line no-await-in-loop
            if (byId(name) && byId(name).getClientRects().length) break;
        }
        const field = byId(name);
        if (!field) return;
        field.scrollIntoView({block: "center"});
        field.classList.add(`${ROOT}-is-found`);
        setTimeout(() => field.classList.remove(`${ROOT}-is-found`), 3000);
        const typed = field.querySelector("textarea, input");
        if (typed) typed.focus({preventScroll: true});
    }

    /* What has to be opened for a field: of one that Gradio has not made yet, the folds of its section are told by the
     * page. */
    function foldsOf(name) {
        const field = byId(name);
        const folds = field
            ? [...root().querySelectorAll(".block:has(> .label-wrap)")].filter((each) => each.contains(field))
            : JSON.parse(byId("bar").dataset.folds)[name].map((id) => document.getElementById(id));
        return folds.filter(Boolean);
    }

    // ---- the server -------------------------------------------------------------------------------------------------

    function heard(event) {
        const bar = byId("bar");
        if (!bar) return;
        if (bar.dataset.built === undefined) {
            bar.dataset.built = "";
            build(bar);
        }
        write(byId("bar_gone"), event.detail.problem);
    }

    document.addEventListener("trainyard-round", heard);
    window.trainyard.reveal = reveal;
    window.trainyard.showView = show;
    window.trainyard.searchSettings = search;
})();
