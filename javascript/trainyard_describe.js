/* In the data room: tags and sentences for the images of a set, by a tagger, a captioner, a server or an interrogator. */
(function () {
    "use strict";

    const {ROOT, ask, say, make, button, write} = window.trainyard;

    const LOOK_EVERY = 500;
    const RELOAD_EVERY = 3000;
    const ADDRESS = "address"; // chosen instead of a name
    const KEPT = `${ROOT}-describe`;
    // Which fields suit what makes tags, what makes sentences, and a server; in the order they are shown.
    const FIELDS = {
        tags: ["threshold", "character_threshold", "unwanted", "rating", "underscores", "escape"],
        text: ["prompt", "detail", "unwanted"],
        address: ["server_model", "prompt", "unwanted"],
    };
    const ASKED = ["prompt", "detail"]; // not of an interrogator of the WebUI, which does as the WebUI's settings say
    const CHOICES = {mode: ["missing", "append", "prepend", "replace"], detail: ["short", "long", "longest"]};
    const TICKS = ["rating", "underscores", "escape"];
    const USUAL = {threshold: "0.35", character_threshold: "0.85", detail: "long", mode: "missing"};

    let place = null;
    let timer = null;

    function build({detail: {panel, room}}) {
        const fold = make("details", "room-tags");
        const inputs = {};
        const line = make("div", "describe-fields");
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        const status = make("p", "room-status");
        status.setAttribute("role", "status");
        const hint = make("p", "describe-hint");
        const bar = document.createElement("progress");
        bar.setAttribute("aria-label", say("describe.progress"));
        const problems = make("ul", "room-problems");
        const start = button(say("describe.start"), begin);
        start.classList.add(`${ROOT}-main`);
        const stop = button(say("describe.stop"), end);
        const scope = make("span", "room-scope");
        const deeds = make("div", "room-deeds");
        deeds.append(start, stop, scope);
        place = {fold, room, inputs, line, message, status, hint, bar, problems, start, stop, scope, found: []};
        line.append(...fields());
        for (const part of [line, message, status, hint, bar, problems, stop]) part.hidden = true;
        start.disabled = true; // until it is known what there is
        fold.append(make("summary", "", say("describe.title")), line, hint, deeds, message, bar, status, problems);
        fold.addEventListener("toggle", () => fold.open && list());
        panel.parts.tags.after(fold);
        fold.hidden = !room.set;
        look();
    }

    // ---- the fields -------------------------------------------------------------------------------------------------

    function fields() {
        const names = ["captioner", "url", "mode", "trigger", ...new Set(Object.values(FIELDS).flat())];
        return names.map((name) => {
            const label = make("label", TICKS.includes(name) ? "room-tick" : "describe-field");
            const input = inputOf(name);
            place.inputs[name] = input;
            input.addEventListener("change", keep);
            const words = make("span", "", say(`describe.${name}`));
            label.title = say(`describe.${name}_help`);
            label.append(...(TICKS.includes(name) ? [input, words] : [words, input]));
            return label;
        });
    }

    function inputOf(name) {
        if (name === "captioner" || CHOICES[name]) {
            const select = make("select", "input");
            select.append(...(CHOICES[name] || []).map((each) => new Option(say(`describe.${name}_${each}`), each)));
            if (name === "captioner") select.addEventListener("change", showFields);
            else select.value = kept()[name] || USUAL[name];
            return select;
        }
        if (TICKS.includes(name)) {
            const tick = document.createElement("input");
            tick.type = "checkbox";
            tick.checked = kept()[name] === true;
            return tick;
        }
        const input = make("input", "input");
        input.value = kept()[name] || USUAL[name] || "";
        if (name === "url") input.placeholder = "http://127.0.0.1:1234/v1";
        if (name.endsWith("threshold")) input.inputMode = "decimal";
        return input;
    }

    /* What was typed survives a reload of the page. */
    function keep() {
        localStorage.setItem(KEPT, JSON.stringify(values()));
    }

    function kept() {
        try {
            return JSON.parse(localStorage.getItem(KEPT)) || {};
        } catch {
            return {};
        }
    }

    function values() {
        const found = {};
        for (const [name, input] of Object.entries(place.inputs)) {
            found[name] = input.type === "checkbox" ? input.checked : input.value;
        }
        return found;
    }

    const kindOf = (name) => (name === ADDRESS ? ADDRESS : (place.found.find((each) => each.name === name) || {}).makes);

    function showFields() {
        const {inputs, room} = place;
        const kind = kindOf(inputs.captioner.value);
        const chosen = place.found.find((each) => each.name === inputs.captioner.value);
        const suit = (FIELDS[kind] || []).filter((name) => !chosen || chosen.takes_prompt || !ASKED.includes(name));
        const shown = ["captioner", "mode", "trigger", ...suit, ...(kind === ADDRESS ? ["url"] : [])];
        for (const [name, input] of Object.entries(inputs)) input.parentElement.hidden = !shown.includes(name);
        place.start.disabled = !kind || Boolean(chosen && chosen.problem);
        const nothing = place.found.some((each) => !each.problem) ? "" : say("describe.none", {folder: place.folder});
        write(place.hint, (chosen && chosen.problem) || (kind === ADDRESS ? say("describe.address_hint") : nothing));
        place.hint.hidden = !place.hint.textContent;
        showScope(room);
    }

    /* What can describe images here: looked for whenever the fold is opened, as folders are filled meanwhile. */
    async function list() {
        const {inputs} = place;
        write(place.message, "");
        place.message.hidden = true;
        try {
            const {captioners, folder} = await ask("captioners");
            Object.assign(place, {found: captioners, folder});
        } catch (error) {
            wrong(error.message);
        }
        const before = inputs.captioner.value || kept().captioner;
        inputs.captioner.replaceChildren(
            ...place.found.map((each) => new Option(each.label, each.name)), new Option(say("describe.address"), ADDRESS),
        );
        place.line.hidden = false;
        const usable = place.found.find((each) => !each.problem);
        const known = [...inputs.captioner.options].some((option) => option.value === before);
        inputs.captioner.value = known ? before : (usable || {name: ADDRESS}).name;
        showFields();
    }

    function wrong(text) {
        write(place.message, text);
        place.message.hidden = !text;
    }

    // ---- describing -------------------------------------------------------------------------------------------------

    /* The selected images; without a selection those that are shown. */
    function chosen(room) {
        const names = room.selected.size ? [...room.selected] : room.shown.map((item) => item.name);
        const here = new Set(room.items.filter((item) => !item.aside).map((item) => item.name));
        return names.filter((name) => here.has(name));
    }

    function showScope(room) {
        const count = room.set ? chosen(room).length : 0;
        write(place.scope, say(room.selected.size ? "room.for_selected" : "room.for_shown", {count}));
    }

    async function begin() {
        const {room, inputs} = place;
        const given = values();
        const kind = kindOf(given.captioner);
        const body = {set: room.set.id, names: chosen(room), mode: given.mode, trigger: given.trigger};
        body.captioner = kind === ADDRESS ? given.url : given.captioner;
        for (const name of FIELDS[kind]) body[name] = given[name];
        keep();
        wrong("");
        if (kind === ADDRESS && !given.url.trim()) {
            wrong(say("describe.no_url"));
            inputs.url.focus();
            return;
        }
        try {
            await room.cards.flush();
            show(await ask("captioning/start", body));
            look();
        } catch (error) {
            wrong(error.message);
        }
    }

    async function end() {
        try {
            show(await ask("captioning/stop", {}));
        } catch (error) {
            wrong(error.message);
        }
    }

    let reloaded = 0;

    async function look() {
        clearTimeout(timer);
        let state;
        try {
            state = await ask("captioning");
        } catch (error) {
            wrong(error.message);
            return;
        }
        show(state);
        const {room} = place;
        const working = state.state === "working";
        const isSeen = room.set && state.set === room.set.id;
        if (isSeen && (place.working || working) && (!working || performance.now() - reloaded > RELOAD_EVERY)) {
            reloaded = performance.now();
            await room.attempt(room.reload);
            room.cards.refill();
        }
        place.working = working;
        if (working) timer = setTimeout(look, LOOK_EVERY);
    }

    function show(state) {
        const working = state.state === "working";
        const {bar, status, problems, start, stop} = place;
        bar.hidden = stop.hidden = !working;
        start.hidden = working;
        if (state.state === "none") return;
        bar.max = Math.max(1, state.total);
        bar.value = state.done;
        if (working) place.fold.open = true;
        const counts = {done: state.done, total: state.total, written: state.written, kept: state.kept, count: state.nothing};
        const words = [say(`describe.is_${state.state}`, counts)];
        if (state.nothing && !working) words.push(say("describe.nothing", counts));
        if (state.note && working) words.push(state.note);
        write(status, words.join(" "));
        status.hidden = false;
        if (state.problem) wrong(state.problem);
        const more = state.problems_in_all - state.problems.length;
        const lines = more ? [...state.problems, say("data.more_problems", {count: more})] : state.problems;
        problems.replaceChildren(...lines.map((each) => make("li", "", each)));
        problems.hidden = !lines.length;
    }

    /* With the room's own polling: the fold comes with a set, and says how many images it is about. */
    function round() {
        if (!place) return;
        place.fold.hidden = !place.room.set;
        if (place.fold.open) showScope(place.room);
    }

    document.addEventListener("trainyard-room", build);
    setInterval(round, LOOK_EVERY);
})();
