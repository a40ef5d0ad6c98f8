/* The queue: its jobs, and the buttons that order them. */
(function () {
    "use strict";

    const {ask, say, make, button, write, pressUnseen, clock, addPanel, refresh} = window.trainyard;

    const ACTIONS = {
        waiting: ["run", "up", "down", "edit", "duplicate", "delete"],
        running: ["copy", "duplicate"],
        done: ["copy", "duplicate", "delete"],
        failed: ["run", "edit", "duplicate", "delete"],
        stopped: ["run", "edit", "duplicate", "delete"],
        interrupted: ["run", "edit", "duplicate", "delete"],
    };

    /* One that has been stopped with a LoRA saved is at its end, too. */
    function actionsOf(job) {
        const actions = ACTIONS[job.status] || [];
        if (!job.path) return actions;
        const copied = actions.filter((each) => each !== "run").map((each) => each === "edit" ? "copy" : each);
        return job.lora ? ["try", ...copied] : copied;
    }

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
        for (const name of ["", "name", "mode", "model", "steps", "status", "when", ""]) {
            names.append(make("th", "", name && say(`queue.${name}`)));
        }
        head.append(names);
        const body = make("tbody");
        table.append(head, body);
        panel.append(bar, message, table);
        panel.parts = {message, start, hold, clear, state, table, body};
    }

    async function press(panel, route, words) {
        try {
            await ask(route, {});
            write(panel.parts.message, "");
        } catch (error) {
            write(panel.parts.message, `${words}: ${error.message}`);
        }
        refresh();
    }

    async function showQueue(panel, status) {
        const {jobs} = await ask("jobs");
        const parts = panel.parts;
        const waiting = jobs.filter((job) => job.status === "waiting").length;
        parts.start.hidden = status.queue_started || !waiting;
        parts.hold.hidden = !status.queue_started;
        parts.clear.hidden = !jobs.some((job) => job.status === "done");
        write(parts.state, stateOf(jobs, waiting, status));
        parts.table.hidden = !jobs.length;
        showRows(panel, jobs, waiting);
    }

    /* Rows that say the same as before are left alone: somebody may just be pressing one of their buttons. */
    function showRows(panel, jobs, waiting) {
        const body = panel.parts.body;
        const before = new Map([...body.children].map((row) => [row.dataset.version, row]));
        const rows = jobs.map((job) => {
            const version = JSON.stringify([job, job.position && job.position === waiting]);
            const row = before.get(version) || rowOf(panel, job, waiting);
            row.dataset.version = version;
            return row;
        });
        if (rows.length === body.children.length && rows.every((row, place) => row === body.children[place])) return;
        const {job, action} = document.activeElement ? document.activeElement.dataset : {};
        body.replaceChildren(...rows);
        if (job && action) focusAgain(body, job, action);
    }

    /* Whoever orders the queue by keyboard goes on with the same button, or the other one where that has come to the end. */
    function focusAgain(body, job, action) {
        const buttons = [...body.querySelectorAll("button:enabled")].filter((each) => each.dataset.job === job);
        const other = {up: "down", down: "up"}[action];
        const again = buttons.find((each) => each.dataset.action === action)
            || buttons.find((each) => each.dataset.action === other) || buttons[0];
        if (again) again.focus();
    }

    function stateOf(jobs, waiting, status) {
        if (!waiting) return say(jobs.length ? "queue.none_waits" : "queue.empty");
        const going = status.queue_started ? "started" : "held";
        return waiting === 1 ? say(`queue.one_waits_${going}`) : say(`queue.many_wait_${going}`, {count: waiting});
    }

    function rowOf(panel, job, waiting) {
        const row = make("tr", `job-${job.status}`);
        const cells = {
            "": job.position ? String(job.position) : "",
            name: job.name,
            mode: job.mode,
            model: job.model.split(/[\\/]/).pop(),
            steps: job.step && job.step < job.steps ? say("queue.step_of", job) : String(job.steps),
            status: say(`queue.is_${job.status}`),
            when: clock(job.ended || job.started || Date.parse(job.created) / 1000),
        };
        for (const [name, text] of Object.entries(cells)) {
            const cell = make("td", "", text);
            if (name) cell.dataset.label = name;
            if (name === "steps") cell.dataset.title = say("queue.steps");
            if (name === "status" && job.message) cell.append(make("small", "", job.message));
            if (name === "status" && job.path) cell.append(make("small", "", say("live.saved", job)));
            row.append(cell);
        }
        const actions = make("div", "actions");
        for (const action of actionsOf(job)) {
            const words = say(`queue.${action}`);
            const made = button(words, () => {
                if (action === "try") window.trainyard.tryLora(job.lora);
                else if (action === "edit" || action === "copy") pressUnseen("pick", "picked", job.id);
                else press(panel, `jobs/${job.id}/${action}`, words);
            });
            made.dataset.job = job.id;
            made.dataset.action = action;
            made.disabled = (action === "up" && job.position === 1) || (action === "down" && job.position === waiting);
            actions.append(made);
        }
        const last = make("td");
        last.append(actions);
        row.append(last);
        return row;
    }

    addPanel("queue", {build: buildQueue, show: showQueue, onlySeen: true});
})();
