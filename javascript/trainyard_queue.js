/* The queue: its jobs and their buttons. */
(function () {
    "use strict";

    const {ROOT, ask, say, make, button, write, pressUnseen, clock, addPanel, refresh} = window.trainyard;

    const UNDO_FOR = 60000; // ms
    const ACTIONS = {
        waiting: ["run", "up", "down", "edit", "duplicate", "delete"],
        running: ["copy", "duplicate"],
        done: ["copy", "duplicate", "delete"],
        failed: ["run", "edit", "duplicate", "delete"],
        stopped: ["run", "edit", "duplicate", "delete"],
        interrupted: ["run", "edit", "duplicate", "delete"],
    };

    /* A job that was stopped and saved has ended, too. */
    function actionsOf(job) {
        const actions = [...job.can_continue ? ["continue"] : [], ...ACTIONS[job.status] || []];
        if (!job.path) return actions;
        const copied = actions.filter((each) => each !== "run").map((each) => each === "edit" ? "copy" : each);
        return job.lora ? ["try", ...copied] : copied;
    }

    /* Beside the button that continues a job, the other one says that it does not. */
    function wordOf(action, job) {
        return action === "run" && job.can_continue ? "anew" : action;
    }

    /* A job's columns; the last one has its buttons. */
    const COLUMNS = {
        place: (job) => (job.position ? String(job.position) : ""),
        name: (job) => job.name,
        mode: (job) => job.mode,
        model: (job) => job.model.split(/[\\/]/).pop().replace(/\.(safetensors|ckpt)$/i, ""),
        steps: (job) => (job.step && job.step < job.steps ? say("queue.step_of", job) : String(job.steps)),
        status: (job) => say(`queue.is_${job.status}`),
        when: (job) => clock(job.ended || job.started || Date.parse(job.created) / 1000),
    };
    /* How many are shown at first of those that have ended and of the others; scrolling brings more. */
    const PORTION = {earlier: 5, later: 50};

    function buildQueue(panel) {
        const message = make("p", "message");
        message.setAttribute("role", "status");
        const bar = make("div", "queue-bar");
        const ordering = (action, route) => {
            const words = say(`queue.${action}`);
            const made = button(words, () => press(panel, route, words));
            bar.append(made);
            return made;
        };
        const start = ordering("start", "queue/start");
        const hold = ordering("hold", "queue/hold");
        const clear = ordering("clear", "jobs/clear");
        const state = make("span", "note");
        bar.append(state);
        const table = make("table", "jobs");
        const head = make("thead");
        const names = make("tr");
        for (const name of Object.keys(COLUMNS)) {
            names.append(name === "place" ? make("td") : make("th", "", say(`queue.${name}`)));
        }
        names.append(make("td"));
        head.append(names);
        const body = make("tbody");
        body.addEventListener("click", (event) => {
            const pressed = event.target.closest("button");
            if (pressed) act(panel, pressed.dataset.action, panel.rows.get(pressed.dataset.job).job);
        });
        table.append(head, body);
        const [earlier, later] = ["earlier", "later"].map((side) => button("", () => reach(panel, side, Infinity)));
        earlier.hidden = later.hidden = true;
        const deleted = make("p", "message");
        deleted.setAttribute("role", "status");
        deleted.hidden = true;
        panel.append(bar, message, deleted, earlier, table, later);
        panel.parts = {message, deleted, start, hold, clear, state, table, body, earlier, later};
        panel.reach = {...PORTION};
        panel.rows = new Map();
        panel.nearing = new IntersectionObserver((entries) => {
            if (entries.some((entry) => entry.isIntersecting)) reach(panel, "later", panel.reach.later + PORTION.later);
        }, {rootMargin: "600px"});
    }

    function reach(panel, side, count) {
        panel.reach[side] = count;
        refresh();
    }

    function act(panel, action, job) {
        if (action === "try") window.trainyard.tryLora(job.lora);
        else if (action === "edit" || action === "copy") pressUnseen("pick", "picked", job.id);
        else if (action === "delete") remove(panel, job);
        else press(panel, `jobs/${job.id}/${action}`, say(`queue.${action}`));
    }

    /* A job is deleted at once, and can be brought back. */
    async function remove(panel, job) {
        const {deleted} = panel.parts;
        if (!await press(panel, `jobs/${job.id}/delete`, say("queue.delete"))) return;
        const undo = button(say("queue.undo"), async () => {
            if (await press(panel, `jobs/${job.id}/restore`, say("queue.undo"))) write(deleted, "");
        });
        write(deleted, say("queue.deleted", job));
        deleted.append(" ", undo);
        clearTimeout(panel.forgets);
        panel.forgets = setTimeout(() => write(deleted, ""), UNDO_FOR);
    }

    /* Returns whether it was done. */
    async function press(panel, route, words) {
        let isDone = true;
        try {
            await ask(route, {});
            write(panel.parts.message, "");
        } catch (error) {
            isDone = false;
            write(panel.parts.message, `${words}: ${error.message}`);
        }
        refresh();
        return isDone;
    }

    async function showQueue(panel, status) {
        const sides = Object.entries(panel.reach).filter(([, count]) => count < Infinity);
        const found = await ask(`jobs?${new URLSearchParams(sides)}`);
        const parts = panel.parts;
        parts.start.hidden = status.queue_started || !found.waiting;
        parts.hold.hidden = !status.queue_started;
        parts.clear.hidden = !found.done;
        write(parts.state, stateOf(found, status));
        parts.table.hidden = !found.jobs.length;
        showRows(panel, found);
        for (const side of ["earlier", "later"]) {
            write(parts[side], found[side] ? say(`queue.${side}`, {count: found[side]}) : "");
        }
        panel.nearing.disconnect();
        panel.nearing.observe(parts.later); // which reports at once if it is near already
    }

    /* Rows that have not changed stay as they are: one of their buttons may just be being clicked. */
    function showRows(panel, {jobs, waiting}) {
        const body = panel.parts.body;
        const held = document.activeElement;
        const before = panel.rows;
        panel.rows = new Map(jobs.map((each) => [String(each.id), before.get(String(each.id)) || newRow()]));
        for (const [number, row] of before) if (!panel.rows.has(number)) row.remove();
        let next = body.firstElementChild;
        for (const each of jobs) {
            const row = panel.rows.get(String(each.id));
            fill(row, each, waiting);
            if (row === next) next = next.nextElementSibling;
            else body.insertBefore(row, next);
        }
        const isLost = document.activeElement !== held || held.disabled;
        if (held && held.dataset.job && isLost) focusAgain(body, held.dataset);
    }

    /* Keep the keyboard's focus on a moved job's button, or on the other one when it has reached an end. */
    function focusAgain(body, {job, action}) {
        const buttons = [...body.querySelectorAll("button:enabled")].filter((each) => each.dataset.job === job);
        const other = {up: "down", down: "up"}[action];
        const again = buttons.find((each) => each.dataset.action === action)
            || buttons.find((each) => each.dataset.action === other) || buttons[0];
        if (again) again.focus();
    }

    function stateOf({jobs, waiting, done, ended}, status) {
        if (!waiting && !status.running && ended) {
            return say(done === ended ? "queue.all_done" : "queue.all_ended", {count: ended, done, others: ended - done});
        }
        if (!waiting) return say(jobs.length ? "queue.none_waits" : "queue.empty");
        const going = status.queue_started ? "started" : status.queue_held ? "held" : "next";
        return say(`queue.waiting_${going}`, {count: waiting, button: say("queue.start")});
    }

    function newRow() {
        const row = make("tr");
        row.parts = {};
        for (const name of Object.keys(COLUMNS)) {
            const cell = make("td");
            if (name !== "place") cell.dataset.label = name;
            row.parts[name] = cell;
            row.append(cell);
        }
        row.parts.steps.dataset.title = say("queue.steps");
        Object.assign(row.parts, {state: make("span"), message: make("small"), saved: make("small"), goesOn: make("small")});
        row.parts.status.append(row.parts.state, row.parts.message, row.parts.saved, row.parts.goesOn);
        row.parts.actions = make("div", "actions");
        const last = make("td");
        last.append(row.parts.actions);
        row.append(last);
        return row;
    }

    /* A name that may go on in the next line after each of the characters that join its words. */
    function breaking(text) {
        const parts = text.match(/[^_-]*[_-]+|[^_-]+/g) || [];
        return parts.flatMap((part) => [part, document.createElement("wbr")]);
    }

    function fill(row, job, waiting) {
        const version = JSON.stringify([job, job.position === waiting]);
        if (row.version === version) return;
        Object.assign(row, {version, job, className: `${ROOT}-job-${job.status}`});
        const parts = row.parts;
        for (const [name, textOf] of Object.entries(COLUMNS)) {
            const place = name === "status" ? parts.state : parts[name];
            const text = textOf(job);
            if (place.textContent !== text) place.replaceChildren(...["name", "model"].includes(name) ? breaking(text) : [text]);
        }
        write(parts.message, job.message);
        write(parts.saved, job.path ? say("status.saved", job) : "");
        write(parts.goesOn, window.trainyard.goesOn(job));
        const actions = actionsOf(job);
        const shown = [...actions, job.name].join();
        if (row.actions !== shown) {
            row.actions = shown;
            parts.actions.replaceChildren(...actions.map((action) => {
                const words = say(`queue.${wordOf(action, job)}`);
                const made = make("button", "button", words);
                made.type = "button";
                made.setAttribute("aria-label", say("queue.of", {action: words, name: job.name}));
                Object.assign(made.dataset, {job: job.id, action});
                return made;
            }));
        }
        for (const made of parts.actions.children) {
            const end = {up: 1, down: waiting}[made.dataset.action];
            made.disabled = job.position === end;
        }
    }

    addPanel("queue", {build: buildQueue, show: showQueue, onlySeen: true});
})();
