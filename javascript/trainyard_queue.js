/* The queue: its jobs, and the buttons that order them. */
(function () {
    "use strict";

    const {ask, say, make, write, clock, addPanel, refresh} = window.trainyard;

    const ACTIONS = {
        waiting: ["run", "up", "down", "duplicate", "delete"],
        running: ["duplicate"],
        done: ["duplicate", "delete"],
        failed: ["run", "duplicate", "delete"],
        stopped: ["run", "duplicate", "delete"],
        interrupted: ["run", "duplicate", "delete"],
    };

    function buildQueue(panel) {
        const message = make("p", "message");
        message.setAttribute("role", "status");
        const bar = make("div", "queue-bar");
        const button = (action, route) => {
            const words = say(`queue.${action}`);
            const made = make("button", "button", words);
            made.type = "button";
            made.addEventListener("click", () => press(panel, route, words));
            bar.append(made);
            return made;
        };
        const start = button("start", "queue/start");
        const hold = button("hold", "queue/hold");
        const clear = button("clear", "jobs/clear");
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
        const version = JSON.stringify(jobs);
        if (parts.table.dataset.version === version) return;
        parts.table.dataset.version = version;
        const focused = document.activeElement && document.activeElement.dataset.key;
        parts.body.replaceChildren(...jobs.map((job) => rowOf(panel, job, waiting)));
        if (focused) {
            const again = [...parts.body.querySelectorAll("button")].find((each) => each.dataset.key === focused);
            if (again) again.focus();
        }
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
            if (name === "status" && job.message) cell.append(make("small", "", job.message));
            row.append(cell);
        }
        const actions = make("div", "actions");
        for (const action of ACTIONS[job.status] || []) {
            const words = say(`queue.${action}`);
            const made = make("button", "button", words);
            made.type = "button";
            made.dataset.key = `${job.id} ${action}`;
            made.disabled = (action === "up" && job.position === 1) || (action === "down" && job.position === waiting);
            made.addEventListener("click", () => press(panel, `jobs/${job.id}/${action}`, `${words} ${job.name}`));
            actions.append(made);
        }
        const last = make("td");
        last.append(actions);
        row.append(last);
        return row;
    }

    addPanel("queue", {build: buildQueue, show: showQueue, onlySeen: true});
})();
