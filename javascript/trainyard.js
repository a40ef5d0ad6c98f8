/* The page's live part: what the run does, the queue, and wrong values beside their fields.
 *
 * It asks Trainyard's own routes, by addresses relative to the page, and works alike under every version of Gradio.
 * Whatever comes from users is written as text, never as HTML.
 */
(function () {
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

    async function ask(route, body) {
        const token = byId("token");
        const options = body === undefined ? {} : {
            method: "POST",
            headers: {"Content-Type": "application/json", "X-Trainyard-Token": token ? token.dataset.token : ""},
            body: JSON.stringify(body),
        };
        const answer = await fetch(address(route), options);
        const found = await answer.json();
        if (!answer.ok) throw new Error(found.error || found.detail || `The server answers ${answer.status}.`);
        return found;
    }

    // ---- writing --------------------------------------------------------------------------------------------------

    function make(tag, className, text) {
        const element = document.createElement(tag);
        if (className) element.className = `${ROOT}-${className}`;
        if (text !== undefined && text !== null) element.textContent = text;
        return element;
    }

    function write(element, text) {
        if (element.textContent !== text) element.textContent = text;
        element.hidden = !text;
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

    function clock(seconds) {
        const date = new Date(seconds * 1000);
        const sameDay = date.toDateString() === new Date().toDateString();
        const time = date.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
        return sameDay ? time : `${date.toLocaleDateString()} ${time}`;
    }

    // ---- the run --------------------------------------------------------------------------------------------------

    const NUMBERS = [
        ["steps per second", (run) => number(run.steps_per_second, 3), true],
        ["time left", (run) => duration(run.seconds_left), true],
        ["time so far", (run) => duration(run.seconds), true],
        ["loss", (run) => number(run.loss)],
        ["loss, smoothed", (run) => number(run.smoothed)],
        ["learning rate", (run) => run.rates.length ? run.rates.map((rate) => number(rate, 3)).join(", ") : "–"],
    ];

    function buildLive(panel) {
        const title = make("p", "title");
        title.setAttribute("role", "status");
        const phase = make("p", "phase");
        const bar = document.createElement("progress");
        bar.setAttribute("aria-label", "progress");
        const numbers = make("dl", "numbers");
        const values = NUMBERS.map(([label]) => {
            const cell = make("div");
            const value = make("dd");
            cell.append(make("dt", "", label), value);
            numbers.append(cell);
            return value;
        });
        const curve = make("div", "curve");
        const message = make("p", "wrong");
        const result = make("p", "result");
        const effect = make("div", "effect");
        const pictures = make("div", "pictures");
        const warnings = make("ul", "warnings");
        panel.append(title, phase, bar, numbers, curve, message, result, effect, pictures, warnings);
        panel.parts = {title, phase, bar, numbers, values, curve, message, result, effect, pictures, warnings};
    }

    const TITLES = {
        running: "Training", paused: "Paused", done: "Done", stopped: "Stopped", failed: "Failed",
    };

    function showRun(panel, status) {
        const parts = panel.parts;
        const run = status.run;
        for (const name of ["phase", "bar", "numbers", "curve", "result", "effect", "pictures", "warnings"]) {
            parts[name].hidden = !run;
        }
        write(parts.message, (run && run.state === "failed" && run.message) || status.problem || "");
        if (!run) {
            write(parts.title, "Nothing is being trained. Choose a mode, fill in what it asks for, and press Start Training.");
            return;
        }
        const going = run.state === "running" || run.state === "paused";
        const pausing = going && status.pausing && run.state === "running";
        write(parts.title, `${pausing ? "Pausing" : TITLES[run.state]}: ${run.job.name} (${run.job.mode})`);
        write(parts.phase, going ? phaseOf(run) : endOf(run));
        parts.bar.hidden = !going && run.state !== "stopped";
        parts.bar.max = Math.max(1, run.total);
        if (run.total) parts.bar.value = run.done;
        else parts.bar.removeAttribute("value");
        NUMBERS.forEach(([, value, onlyGoing], index) => {
            write(parts.values[index], value(run));
            parts.values[index].parentElement.hidden = Boolean(onlyGoing) && !going;
        });
        parts.numbers.hidden = !run.step;
        drawCurve(parts.curve, run.curve, run.number);
        write(parts.result, run.path ? `Saved: ${run.path}` : "");
        showEffect(parts.effect, run);
        showPictures(parts.pictures, run.pictures);
        showList(parts.warnings, run.warnings);
    }

    function phaseOf(run) {
        if (run.phase === "training" || (run.step && run.done === run.step)) return `step ${run.step} of ${run.steps}`;
        return run.total ? `${run.phase}: ${run.done} of ${run.total}` : run.phase || "starting";
    }

    function endOf(run) {
        if (run.state === "done") return `${run.step} steps in ${duration(run.seconds)}`;
        return run.steps ? `at step ${run.step} of ${run.steps}` : "";
    }

    function svg(tag, attributes) {
        const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
        for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
        return element;
    }

    function drawCurve(holder, points, version) {
        const known = points.filter((point) => point[1] !== null && point[2] !== null);
        holder.hidden = known.length < 2;
        if (holder.hidden || holder.dataset.version === String(version)) return;
        holder.dataset.version = version;
        const width = 240, height = 80;
        const losses = known.flatMap((point) => [point[1], point[2]]);
        const [low, high] = [Math.min(...losses), Math.max(...losses)];
        const [first, last] = [known[0][0], known[known.length - 1][0]];
        const x = (step) => (width * (step - first)) / Math.max(1, last - first);
        const y = (loss) => 2 + ((height - 4) * (high - loss)) / (high - low || 1);
        const line = (column) => known.map((point) => `${x(point[0]).toFixed(1)},${y(point[column]).toFixed(1)}`).join(" ");
        const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img"});
        picture.setAttribute("aria-label", "loss over the steps");
        picture.append(svg("polyline", {points: line(1), class: `${ROOT}-raw`}));
        picture.append(svg("polyline", {points: line(2), class: `${ROOT}-smoothed`}));
        const caption = make("small", "", `loss, steps ${first} to ${last}: ${number(low, 3)} to ${number(high, 3)}`);
        holder.replaceChildren(picture, caption);
    }

    function picture(name, caption) {
        const figure = make("figure");
        const link = document.createElement("a");
        link.href = address(`pictures/${encodeURIComponent(name)}`);
        link.target = "_blank";
        const image = document.createElement("img");
        image.src = link.href;
        image.alt = caption;
        link.append(image);
        figure.append(link, make("figcaption", "", caption));
        return figure;
    }

    function showPictures(holder, pictures) {
        const names = JSON.stringify(pictures);
        holder.hidden = !pictures.length;
        if (holder.dataset.names === names) return;
        holder.dataset.names = names;
        const newest = pictures.slice().reverse();
        holder.replaceChildren(...newest.map((each) => picture(each.name, `step ${each.step}`)));
    }

    function showEffect(holder, run) {
        const effect = run.effect;
        holder.hidden = !effect;
        const version = effect ? JSON.stringify(effect) : "";
        if (!effect || holder.dataset.version === version) return;
        holder.dataset.version = version;
        const percent = (share) => share === null ? "–" : `${number(100 * share, 2)} %`;
        const most = effect.strongest.map((each) => `${each.block} ${percent(each.relative)}`).join(", ");
        const lines = [make("p", "", `The LoRA changes the weights by ${percent(effect.relative)}, most in ${most}.`)];
        if (effect.strip) lines.push(picture(effect.strip, `“${effect.prompt}” at strength −1, 0 and +1`));
        holder.replaceChildren(...lines);
    }

    function showList(holder, texts) {
        const all = JSON.stringify(texts);
        holder.hidden = !texts.length;
        if (holder.dataset.texts === all) return;
        holder.dataset.texts = all;
        holder.replaceChildren(...texts.map((text) => make("li", "", text)));
    }

    // ---- the queue ------------------------------------------------------------------------------------------------

    const ACTIONS = {
        waiting: ["run", "up", "down", "duplicate", "delete"],
        running: ["duplicate"],
        done: ["duplicate", "delete"],
        failed: ["run", "duplicate", "delete"],
        stopped: ["run", "duplicate", "delete"],
        interrupted: ["run", "duplicate", "delete"],
    };
    const WORDS = {run: "Run", up: "Up", down: "Down", duplicate: "Duplicate", delete: "Delete"};

    function buildQueue(panel) {
        const message = make("p", "message");
        message.setAttribute("role", "status");
        const bar = make("div", "queue-bar");
        const button = (words, route) => {
            const made = make("button", "button", words);
            made.type = "button";
            made.addEventListener("click", () => press(panel, route, words));
            bar.append(made);
            return made;
        };
        const start = button("Start queue", "queue/start");
        const hold = button("Hold queue", "queue/hold");
        const clear = button("Clear done", "jobs/clear");
        const state = make("span", "note");
        bar.append(state);
        const table = make("table", "jobs");
        const head = make("thead");
        const names = make("tr");
        for (const name of ["", "name", "mode", "model", "steps", "status", "when", ""]) names.append(make("th", "", name));
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

    function showQueue(panel, jobs, status) {
        const parts = panel.parts;
        const waiting = jobs.filter((job) => job.status === "waiting").length;
        parts.start.hidden = status.queue_started || !waiting;
        parts.hold.hidden = !status.queue_started;
        parts.clear.hidden = !jobs.some((job) => job.status === "done");
        const going = status.queue_started ? "The queue is started." : "The queue is held.";
        const jobsInWords = waiting === 1 ? "1 job waits." : `${waiting} jobs wait.`;
        write(parts.state, waiting ? `${jobsInWords} ${going}` : jobs.length ? "No job waits." : "The queue is empty.");
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

    function rowOf(panel, job, waiting) {
        const row = make("tr", `job-${job.status}`);
        const cells = {
            "": job.position ? String(job.position) : "",
            name: job.name,
            mode: job.mode,
            model: job.model.split(/[\\/]/).pop(),
            steps: job.step && job.step < job.steps ? `${job.step} of ${job.steps}` : String(job.steps),
            status: job.status,
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
            const made = make("button", "button", WORDS[action]);
            made.type = "button";
            made.dataset.key = `${job.id} ${action}`;
            made.disabled = (action === "up" && job.position === 1) || (action === "down" && job.position === waiting);
            made.addEventListener("click", () => press(panel, `jobs/${job.id}/${action}`, `${WORDS[action]} ${job.name}`));
            actions.append(made);
        }
        const last = make("td");
        last.append(actions);
        row.append(last);
        return row;
    }

    // ---- wrong values beside their fields ---------------------------------------------------------------------------

    const TYPED = "textarea, input:not([type=checkbox]):not([type=radio]):not([type=file])";

    function leftField(event) {
        const field = event.target.closest && event.target.closest(`.${ROOT}-field[id^="${ROOT}_"]`);
        if (field && byId("form") && byId("form").contains(field) && event.target.matches(TYPED)) checkField(field);
    }

    async function checkField(field) {
        const value = field.querySelector(TYPED).value;
        const name = field.id.replace(`${ROOT}_second_`, "").replace(`${ROOT}_`, "");
        let problem = "";
        try {
            problem = (await ask("check", {name, value})).problem;
        } catch (error) {
            problem = ""; // that the server does not answer is said where the run is shown
        }
        field.dataset.checked = value;
        mark(field, problem);
    }

    /* A preset may have put another value where a wrong one was. */
    function checkAgain() {
        for (const field of document.querySelectorAll(`#${ROOT} .${ROOT}-is-wrong`)) {
            const typed = field.querySelector(TYPED);
            if (typed && typed !== document.activeElement && typed.value !== field.dataset.checked) checkField(field);
        }
    }

    function mark(field, problem) {
        let note = field.querySelector(`:scope > .${ROOT}-wrong`);
        if (!note && problem) {
            note = make("p", "wrong");
            note.setAttribute("role", "alert");
            field.append(note);
        }
        if (note) write(note, problem);
        field.classList.toggle(`${ROOT}-is-wrong`, Boolean(problem));
    }

    // ---- the round ------------------------------------------------------------------------------------------------

    let timer = null;
    let asking = false;

    function seen(name, build) {
        const panel = byId(name);
        if (panel && !panel.parts) build(panel);
        return panel && panel.parts ? panel : null;
    }

    async function refresh() {
        if (asking) return;
        asking = true;
        let every = IDLE_EVERY;
        try {
            if (document.getElementById(ROOT)) every = await look();
        } catch (error) {
            const live = seen("live", buildLive);
            if (live) write(live.parts.message, `No answer from the server (${error.message}). Trying again.`);
        }
        asking = false;
        clearTimeout(timer);
        timer = setTimeout(refresh, document.hidden ? 5 * every : every);
    }

    async function look() {
        const live = seen("live", buildLive);
        const queue = seen("queue", buildQueue);
        checkAgain();
        const status = await ask("status");
        if (live) showRun(live, status);
        if (queue && queue.offsetParent !== null) showQueue(queue, (await ask("jobs")).jobs, status);
        const state = !status.running ? "idle" : status.pausing ? "paused" : "running";
        document.getElementById(ROOT).dataset.state = state;
        return status.running || (queue && queue.offsetParent !== null) ? BUSY_EVERY : IDLE_EVERY;
    }

    document.addEventListener("focusout", leftField);
    document.addEventListener("visibilitychange", () => document.hidden || refresh());
    // A click may have begun something, or shown another tab: look soon.
    document.addEventListener("click", (event) => {
        const root = document.getElementById(ROOT);
        if (root && root.contains(event.target)) setTimeout(refresh, 250);
    });
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", refresh);
    else refresh();
})();
